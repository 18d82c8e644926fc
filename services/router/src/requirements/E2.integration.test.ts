/** E2, E3: heads that are too long, and HTTP/2 requests turned into HTTP/1.1, on the wire: what the client is told and what the origin gets. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { judge } from "../http1/corpus/judge.ts"
import { isRefusal } from "../http1/Refusal.ts"
import { authority, fieldCorpus } from "../http2/fieldCorpus.ts"
import { Flag, FrameType, frameHeader, headerFrames, preface, settingsFrame } from "../http2/frames.ts"
import { encodeFields } from "../testing/encodeFields.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, sendRaw, TestEdge } from "../testing/TestEdge.ts"

let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await RawOrigin.start((socket, piece) => void (piece.includes("\r\n\r\n") && socket.write(ok("served"))))
  await edge.add(authority, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

const received = () => origin.received.join("")
const post = (lines: number, body: string) =>
  `POST / HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: ${body.length}\r\n${Array.from({ length: lines - 2 }, (_, at) => `a${at}: b\r\n`).join("")}\r\n${body}`

describe("E2: the number and size of lines", () => {
  it.each([999, 1000])("E2: a POST with %i lines arrives whole", async (lines) => {
    origin.received.length = 0
    const body = "GET /orphan HTTP/1.1\r\nHost: x\r\n\r\n"
    const answer = await sendRaw(edge, authority, post(lines, body).replace("a0: b", "Connection: close"))
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    const [head, ...rest] = received().split("\r\n\r\n")
    expect(rest.join("\r\n\r\n")).toBe(body)
    // Nothing was lost on the way: all lines but Content-Length, Connection and Host stand in the head, behind each other.
    expect(head!.match(/^a[0-9]+: b\r?$/gm)).toHaveLength(lines - 3)
  })

  it.each([1001, 1100, 2001, 5000])(
    "E2: a POST with %i lines: 431 or 400, and the origin sees nothing of it, body included",
    async (lines) => {
      origin.received.length = 0
      const answer = await sendRaw(edge, authority, post(lines, "GET /orphan HTTP/1.1\r\nHost: x\r\n\r\n"))
      expect(answer).toMatch(/^HTTP\/1\.1 4(31|00) /)
      expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
      expect(received()).toBe("")
    }
  )

  it("E2: a head of more than 32 KiB: 431", async () => {
    const head = (bytes: number) => {
      const start = `GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\nX: `
      return `${start}${"y".repeat(bytes - start.length - 4)}\r\n\r\n`
    }
    expect(await sendRaw(edge, authority, head(32 * 1024))).toMatch(/^HTTP\/1\.1 200 /)
    expect(await sendRaw(edge, authority, head(32 * 1024 + 1))).toMatch(/^HTTP\/1\.1 431 /)
  })

  it("E2: the same over HTTP/2: too many lines or bytes are 431, and the connection goes on", async () => {
    origin.received.length = 0
    const many = Array.from({ length: 1100 }, (_, at) => [`a${at}`, "b"]).flat()
    const large = ["x", "y".repeat(15_000), "z", "y".repeat(15_000), "w", "y".repeat(5000)]
    expect(await overHttp2([...base, ...many], [...base, ...large], base)).toEqual([431, 431, 200])
    expect(received().match(/HTTP\/1\.1\r\n/g)).toHaveLength(1)
  })
})

const base = [":method", "GET", ":scheme", "https", ":authority", authority, ":path", "/"]

/** Field lists as requests on one connection, byte by byte our own; the statuses in order of the streams. */
const overHttp2 = async (...lists: ReadonlyArray<ReadonlyArray<string>>): Promise<ReadonlyArray<number>> => {
  const socket = await edge.connect(authority, { alpn: ["h2"] })
  const statuses = new Map<number, number>()
  const end = readAll(socket)
  let held = Buffer.alloc(0)
  socket.on("data", (piece: Buffer) => {
    held = Buffer.concat([held, piece])
    while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
      const length = held.readUIntBE(0, 3)
      if (held[3] === FrameType.Headers) statuses.set(held.readUInt32BE(5), statusOf(held.subarray(9, 9 + length)))
      if (held[3] === FrameType.Goaway) socket.destroy()
      held = held.subarray(9 + length)
    }
    if (statuses.size === lists.length) socket.end()
  })
  const frames = lists.map((fields, at) => headerFrames(at * 2 + 1, encodeFields(fields), true)).join("")
  socket.write(preface.toString("latin1") + settingsFrame([]) + frameHeader(0, FrameType.Settings, Flag.Ack, 0) + frames, "latin1")
  await end
  return lists.map((_, at) => statuses.get(at * 2 + 1) ?? 0)
}

/** RFC 7541 appendix A and §6.2: an indexed status, or a literal with three digits. */
const statusOf = (block: Buffer): number => {
  const indexed = [200, 204, 206, 304, 400, 404, 500][(block[0]! & 127) - 8]
  if (block[0]! >= 128 && indexed !== undefined) return indexed
  const digits = /[1-5][0-9]{2}/.exec(block.toString("latin1", 0, 12))?.[0]
  return digits === undefined ? 0 : Number(digits)
}

describe("E3: HTTP/2 fields on the wire", () => {
  it("E3: every case of the corpus: refused ones reach no origin, served ones arrive as one request in our own framing", async () => {
    for (const { name, fields, expect: wanted, forwarded } of fieldCorpus) {
      origin.received.length = 0
      for (const socket of origin.sockets) socket.destroy()
      const [status] = await overHttp2(fields)
      if (wanted !== "served") {
        expect(status, name).toBe(wanted)
        expect(received(), name).toBe("")
        continue
      }
      const read = judge(received())
      if (read === "unfinished" || isRefusal(read)) throw new Error(`${name}: the origin got ${JSON.stringify(received())}`)
      expect(read.rest, name).toBe("")
      for (const line of forwarded ?? []) expect(received(), name).toContain(`${line}\r\n`)
    }
  })
})
