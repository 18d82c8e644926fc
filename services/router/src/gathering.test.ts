/** E8: what comes byte by byte costs the edge a few steps for each byte, however much of it is held already. */
import { afterEach, describe, expect, it, vi } from "vitest"
import { HeadBuffer } from "./client/HeadBuffer.ts"
import type { ExchangeClient } from "./exchange/Exchange.ts"
import { ChunkedReader } from "./http1/ChunkedReader.ts"
import { maxHeadBytes } from "./http1/fields.ts"
import { readRequestHead } from "./http1/requestHead.ts"
import { HeadScan } from "./http1/scanHead.ts"
import { FrameReader, type FrameSink } from "./http2/FrameReader.ts"
import { FrameType, frameHeader, frameSize, preface } from "./http2/frames.ts"
import { ResponseReader } from "./origin/ResponseReader.ts"

/** Bytes that were copied, searched or scanned meanwhile. */
const workOf = (act: () => void): number => {
  let work = 0
  const [scan, indexOf, set, copy, concat] = [
    HeadScan.prototype.read,
    Buffer.prototype.indexOf,
    Buffer.prototype.set,
    Buffer.prototype.copy,
    Buffer.concat
  ]
  vi.spyOn(HeadScan.prototype, "read").mockImplementation(function (this: HeadScan, bytes, length = bytes.length) {
    work += length
    return scan.call(this, bytes, length)
  })
  vi.spyOn(Buffer.prototype, "indexOf").mockImplementation(function (this: Buffer, what: unknown, from: unknown = 0) {
    const found: number = indexOf.call(this, what as Buffer, from as number)
    work += (found < 0 ? this.length : found + 1) - (from as number)
    return found
  })
  vi.spyOn(Buffer.prototype, "set").mockImplementation(function (this: Buffer, from: unknown, at: unknown = 0) {
    work += (from as Buffer).length
    set.call(this, from as Buffer, at as number)
  })
  vi.spyOn(Buffer.prototype, "copy").mockImplementation(function (this: Buffer, ...to) {
    const copied = copy.apply(this, to)
    work += copied
    return copied
  })
  vi.spyOn(Buffer, "concat").mockImplementation((list, length) => {
    const joined = concat(list, length)
    work += joined.length
    return joined
  })
  const looks = ["indexOf", "includes", "endsWith"] as const
  const originals = looks.map((look) => String.prototype[look])
  for (const [place, look] of looks.entries()) {
    const original = originals[place] as (what: string) => boolean
    String.prototype[look] = function (this: string, what: string) {
      work += this.length
      return original.call(this, what)
    } as never
  }
  act()
  for (const [place, look] of looks.entries()) String.prototype[look] = originals[place] as never
  return work
}

afterEach(() => {
  vi.restoreAllMocks()
})

const line = `${"x".repeat(30)}: ${"y".repeat(30)}\r\n`
const fields = (bytes: number) => line.repeat(Math.floor(bytes / line.length))
const request = Buffer.from(`GET / HTTP/1.1\r\nHost: a.example\r\n${fields(30_000)}\r\n`)
const asked = readRequestHead(request.toString("latin1"))
const response = Buffer.from(`HTTP/1.1 200 OK\r\n${fields(30_000)}Content-Length: 0\r\n\r\n`)
const bytesOf = (whole: Buffer) => Array.from(whole, (_, at) => whole.subarray(at, at + 1))
/** Steps for each byte: look for two things, copy, and copy again as what is held grows. */
const few = 16

describe("E8: bytes that come one by one", () => {
  it("E8: a request's head", () => {
    const heads = new HeadBuffer()
    const taken: Array<unknown> = []
    const work = workOf(() => {
      for (const byte of bytesOf(request)) {
        heads.add(byte)
        taken.push(heads.take())
      }
    })
    expect(asked).toMatchObject({ host: "a.example" })
    expect(taken.pop()).toEqual(asked)
    expect(taken.every((one) => one === undefined)).toBe(true)
    expect(work).toBeLessThan(few * request.length)
  })

  it("E8: a request's head that is refused in the end", () => {
    const heads = new HeadBuffer()
    let refusal: unknown
    const work = workOf(() => {
      for (const byte of bytesOf(Buffer.from(`GET / HTTP/1.1\r\n${fields(maxHeadBytes)}`))) {
        heads.add(byte)
        refusal ??= heads.take()
      }
    })
    expect(refusal).toMatchObject({ code: "head-too-large" })
    expect(work).toBeLessThan(few * maxHeadBytes)
  })

  it("E8: further requests while one is being answered", () => {
    const heads = new HeadBuffer()
    const work = workOf(() => {
      for (let round = 0; round < 2; round++) for (const byte of bytesOf(request)) heads.add(byte)
    })
    expect(work).toBeLessThan(2 * few * request.length)
    expect(heads.take()).toEqual(asked)
    expect(heads.take()).toEqual(asked)
    expect(heads.empty).toBe(true)
  })

  it("E4: an origin's head", () => {
    let status = 0
    const client = {
      respond: (head: { readonly status: number }) => {
        status = head.status
      },
      end: () => {}
    } as unknown as ExchangeClient
    const reader = new ResponseReader(client, "GET", false)
    const one = Buffer.alloc(1) // an origin's bytes are valid in their turn only
    const work = workOf(() => {
      for (const byte of response) {
        one[0] = byte
        reader.read(one)
      }
    })
    expect(status).toBe(200)
    expect(reader.state).toBe("done")
    expect(work).toBeLessThan(few * response.length)
  })

  it.each([
    ["a trailer", `X: ${"y".repeat(30_000)}\r\n`],
    ["many trailers", "a: b\r\n".repeat(900)]
  ])("E8: a chunked body's end with %s", (_, trailers) => {
    const reader = new ChunkedReader()
    const body = Buffer.from(`2;a=b\r\nhi\r\n0\r\n${trailers}\r\n`)
    const verdicts = new Set<unknown>()
    const work = workOf(() => {
      for (const byte of bytesOf(body)) verdicts.add(reader.read(byte, 0, { onData: () => {} }))
    })
    expect([...verdicts]).toEqual([1])
    expect(reader.trailers).toBe(`${trailers}\r\n`)
    expect(work).toBeLessThan(few * body.length)
  })

  it("E9: a frame", () => {
    const reader = new FrameReader()
    const payloads: Array<Buffer> = []
    const sink: FrameSink = {
      onFrame: (_type, _flags, _stream, bytes, start, end) => payloads.push(bytes.subarray(start, end)) > 0,
      onBroken: () => {}
    }
    const payload = Buffer.alloc(frameSize, "p")
    const frame = Buffer.concat([Buffer.from(frameHeader(frameSize, FrameType.Data, 0, 1), "latin1"), payload])
    const work = workOf(() => {
      for (const byte of bytesOf(Buffer.concat([preface, frame, frame]))) reader.read(byte, sink)
    })
    // What came first is not written over by what came then: header blocks are put together of payloads that are held.
    expect(payloads).toEqual([payload, payload])
    expect(work).toBeLessThan(2 * few * frame.length)
  })
})

describe("a head that comes in two segments, cut anywhere", () => {
  it("is what it is in one", () => {
    const text = "\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\nPOST / HTTP/1.1\r\n"
    for (let cut = 0; cut <= text.length; cut++) {
      const heads = new HeadBuffer()
      const taken: Array<unknown> = []
      for (const piece of [text.slice(0, cut), text.slice(cut)]) {
        heads.add(Buffer.from(piece))
        taken.push(heads.take())
      }
      expect(taken.filter((one) => one !== undefined)).toEqual([readRequestHead("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")])
      expect(heads.rest().toString()).toBe("POST / HTTP/1.1\r\n")
    }
  })

  it("is refused for a bare LF wherever the segments meet", () => {
    const text = "GET / HTTP/1.1\r\nHost: a.example\nX: y"
    for (let cut = 0; cut <= text.length; cut++) {
      const heads = new HeadBuffer()
      heads.add(Buffer.from(text.slice(0, cut)))
      const first = heads.take()
      heads.add(Buffer.from(text.slice(cut)))
      expect(first ?? heads.take(), String(cut)).toMatchObject({ code: "bare-lf" })
    }
  })
})
