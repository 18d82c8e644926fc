/** The own codec and node:http2 read the same bytes the same way: frames of our own making, cut, padded and windowed as RFC 9113 allows. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { encodeFields } from "../testing/encodeFields.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { Flag, FrameType, frameHeader, preface, settingsFrame, uint32, windowFrame } from "./frames.ts"
import { HpackDecoder } from "./hpack/HpackDecoder.ts"

const host = "shop.example.org"
let own: TestEdge
let node: TestEdge
let origin: Server

beforeAll(async () => {
  origin = createServer((request, response) => {
    const pieces: Array<Buffer> = []
    request.on("data", (piece: Buffer) => pieces.push(piece))
    request.on("end", () => {
      const { "x-cd-request-id": _id, "x-cd-connection": _connection, ...headers } = request.headers
      response.end(JSON.stringify({ method: request.method, url: request.url, headers, body: Buffer.concat(pieces).toString("latin1") }))
    })
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
  own = await TestEdge.start({ http2: "own" })
  node = await TestEdge.start({ http2: "node" })
  for (const edge of [own, node]) await edge.add(host, url)
})

afterAll(async () => {
  await own.stop()
  await node.stop()
  origin.closeAllConnections()
  origin.close()
})

const name = fc.stringMatching(/^x-[a-z0-9]{1,10}$/)
const value = fc.stringMatching(/^[!-~](?:[ -~]{0,60}[!-~])?$/)
const request = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT", "DELETE"),
  path: fc.stringMatching(/^\/[a-z0-9/]{0,30}(?:\?[a-z]=[a-z0-9]{0,10})?$/),
  fields: fc.array(fc.tuple(name, value), { maxLength: 12 }),
  cookies: fc.array(fc.stringMatching(/^[a-z]=[a-z0-9]{1,20}$/), { maxLength: 3 }),
  body: fc.option(fc.array(fc.record({ size: fc.constantFrom(0, 1, 100, 5000, 16_000), pad: fc.option(fc.nat(255)) }), { maxLength: 4 })),
  /** Bytes of the header block per frame. */
  cut: fc.constantFrom(1, 3, 20, 100, 16_384),
  pad: fc.option(fc.nat(255)),
  priority: fc.boolean()
})
type Request = typeof request extends fc.Arbitrary<infer R> ? R : never

const padded = (payload: string, pad: number | null): string =>
  pad === null ? payload : `${String.fromCharCode(pad)}${payload}${"\0".repeat(pad)}`

const headerBlock = (stream: number, { method, path, fields, cookies, body, cut, pad, priority }: Request): string => {
  const list = [
    ":method",
    method,
    ":scheme",
    "https",
    ":authority",
    host,
    ":path",
    path,
    ...fields.flat(),
    ...cookies.flatMap((one) => ["cookie", one])
  ]
  const block = encodeFields(list)
  // At most seven CONTINUATION: more are a flood to the own codec.
  const size = Math.max(cut, Math.ceil(block.length / 8))
  const first = block.slice(0, size)
  const flags = (body === null ? Flag.EndStream : 0) | (pad === null ? 0 : Flag.Padded) | (priority ? Flag.Priority : 0)
  const payload = padded(`${priority ? `${uint32(0)}\x10` : ""}${first}`, pad)
  const ended = first.length === block.length ? Flag.EndHeaders : 0
  let text = frameHeader(payload.length, FrameType.Headers, flags | ended, stream) + payload
  for (let at = size; at < block.length; at += size) {
    const piece = block.slice(at, at + size)
    text += frameHeader(piece.length, FrameType.Continuation, at + size >= block.length ? Flag.EndHeaders : 0, stream) + piece
  }
  return text
}

const dataFrames = (stream: number, { body }: Request): string => {
  if (body === null) return ""
  const frames = [...body, { size: 0, pad: null }]
  return frames
    .map(({ size, pad }, at) => {
      const payload = padded(String.fromCharCode(97 + (at % 26)).repeat(size), pad)
      const flags = (at === frames.length - 1 ? Flag.EndStream : 0) | (pad === null ? 0 : Flag.Padded)
      return frameHeader(payload.length, FrameType.Data, flags, stream) + payload
    })
    .join("")
}

interface Answer {
  status: string
  body: string
}

/** Sends all requests on one connection and gives the windows back piece by piece; the answers by stream. */
const exchange = async (edge: TestEdge, requests: ReadonlyArray<Request>, window: number): Promise<ReadonlyArray<Answer>> => {
  const socket = await edge.connect(host, { alpn: ["h2"] })
  const decoder = new HpackDecoder(4096)
  const answers = requests.map((): Answer => ({ status: "", body: "" }))
  let [held, ended] = [Buffer.alloc(0), 0]
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  const onFrame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const answer = answers[(stream - 1) / 2]
    if (type === FrameType.Headers) {
      const fields = decoder.decode(payload, 65_536, 1000)?.fields ?? []
      if (answer !== undefined && answer.status === "") answer.status = fields.find(({ name }) => name === ":status")?.value ?? "none"
    }
    if (type === FrameType.Data) {
      answer!.body += payload.toString("latin1")
      if (payload.length > 0) socket.write(windowFrame(0, payload.length) + windowFrame(stream, payload.length), "latin1")
    }
    if (type === FrameType.RstStream) answer!.status += ` reset ${payload.readUInt32BE(0)}`
    if (type === FrameType.Settings && (flags & Flag.Ack) === 0) socket.write(frameHeader(0, FrameType.Settings, Flag.Ack, 0), "latin1")
    const over = type === FrameType.RstStream || ((type === FrameType.Data || type === FrameType.Headers) && (flags & Flag.EndStream) !== 0)
    if (over && ++ended === requests.length) socket.destroy()
  }
  socket
    .on("error", () => {})
    .on("data", (piece: Buffer) => {
      held = Buffer.concat([held, piece])
      while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
        const end = 9 + held.readUIntBE(0, 3)
        onFrame(held[3]!, held[4]!, held.readUInt32BE(5), held.subarray(9, end))
        held = held.subarray(end)
      }
    })
  const head = preface.toString("latin1") + settingsFrame([[4, window]])
  socket.write(head + requests.map((one, at) => headerBlock(at * 2 + 1, one) + dataFrames(at * 2 + 1, one)).join(""), "latin1")
  await closed
  return answers
}

describe("the own codec beside node:http2", () => {
  it("reads the same bytes the same way, whatever cuts, paddings, priorities and windows", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(1000, 16_384, 65_535, 1_000_000),
        async (requests, window) => {
          const [ours, theirs] = await Promise.all([own, node].map((edge) => exchange(edge, requests, window)))
          expect(ours!.map(({ status }) => status)).toEqual(requests.map(() => "200"))
          expect(ours).toEqual(theirs)
        }
      ),
      { numRuns: 60 }
    )
  })
})
