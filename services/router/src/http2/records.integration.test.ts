/** What the operator sees of clients that the edge's own limits cut off, and of connections that it ends. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest"
import { frame, headers, RawHttp2 } from "../testing/RawHttp2.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { ErrorCode, Flag, FrameType, Setting, uint32, windowFrame } from "./frames.ts"

const host = "shop.example.org"
let edge: TestEdge
let origin: RawOrigin
let codes: Array<string>

beforeAll(async () => {
  edge = await TestEdge.start({ limits: { bodyMillis: 500, drainMillis: 300 } })
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.startsWith("PUT")) socket.write(ok("y".repeat(5000)))
  })
  await edge.add(host, origin.url)
})
beforeEach(() => {
  codes = []
  edge.router.metrics.onRecord = ({ code, status }) => codes.push(`${status} ${code}`)
})
afterAll(async () => {
  await edge.stop(0)
  await origin.stop()
})

const request = (stream: number, method: string, authority: string, flags: number) =>
  headers(stream, [":method", method, ":scheme", "https", ":authority", authority, ":path", "/"], flags)
const whole = Flag.EndHeaders | Flag.EndStream
const errors = () =>
  Object.fromEntries(
    edge.router.metrics
      .samples()
      .filter(({ name }) => name === "edge_http2_errors_total")
      .map(({ labels, value }) => [labels.code, value])
  )

it("a body that stops is told from a request that the client gave up", async () => {
  const client = await RawHttp2.open(edge, host)
  client.send(request(1, "POST", host, Flag.EndHeaders) + request(3, "GET", host, whole))
  await client.until(() => client.resets.length === 1)
  client.send(frame(FrameType.RstStream, 0, 3, uint32(ErrorCode.Cancel)))
  await client.settled()
  expect([client.resets, codes]).toEqual([[[1, ErrorCode.Cancel]], ["0 body-too-slow", "0 client-gone"]])
  client.close()
})

it("an answer is recorded when it has gone out, and one that never did as what it is, however small", async () => {
  const client = await RawHttp2.open(edge, host, [[Setting.InitialWindowSize, 1000]])
  client.send(request(1, "PUT", host, whole) + request(3, "PUT", host, whole) + request(5, "GET", "other.example.org", whole))
  await client.until(() => [1, 3].every((stream) => client.received.get(stream) === 1000))
  await client.settled()
  expect(codes).toEqual(["421 unknown-host"])
  client.send(windowFrame(1, 4000))
  await client.until(() => client.ended.has(1))
  expect(codes).toEqual(["421 unknown-host", "200 "])
  await client.until(() => client.resets.length > 0)
  expect([client.resets, codes.slice(2)]).toEqual([[[3, ErrorCode.Cancel]], ["200 client-too-slow"]])
  expect(edge.router.metrics.inFlight).toBe(0)
  client.close()
})

it("E9: a flood of requests for names that are not served there ends the connection, and each ended one is counted", async () => {
  const client = await RawHttp2.open(edge, host)
  for (let at = 0; at < 600; at++) client.send(request(2 * at + 1, "HEAD", "other.example.org", whole))
  await client.until(() => client.closed)
  expect(client.goaways).toEqual([ErrorCode.EnhanceYourCalm])
  expect(new Set(codes)).toEqual(new Set(["421 unknown-host"]))
  const confused = await RawHttp2.open(edge, host)
  confused.send(frame(FrameType.Data, 0, 1, "x"))
  await confused.until(() => confused.closed)
  expect(errors()).toEqual({ ENHANCE_YOUR_CALM: 1, PROTOCOL_ERROR: 1 })
})

it("E2: a head that is too large is answered, with a page, and recorded under the connection's name", async () => {
  const records: Array<Record<string, unknown>> = []
  edge.router.metrics.onRecord = (record) => records.push({ ...record })
  const client = await RawHttp2.open(edge, host)
  const many = Array.from({ length: 1100 }, (_, at) => [`a${at}`, "b"]).flat()
  client.send(headers(1, [":method", "GET", ":scheme", "https", ":authority", host, ":path", "/secret", ...many], whole))
  await client.until(() => client.ended.has(1))
  expect(client.text).toContain(String(records[0]!.requestId))
  expect(records).toMatchObject([{ status: 431, code: "head-too-large", host: "", path: "", protocol: "h2", peer: { serverName: host } }])
  expect(records[0]).toMatchObject({ originMillis: -1 })
  expect(edge.router.metrics.inFlight).toBe(0)
  client.send(request(3, "PUT", host, whole))
  await client.until(() => client.ended.has(3))
  const { millis, originMillis } = records[1] as { millis: number; originMillis: number }
  expect(originMillis).toBeGreaterThan(0)
  expect(originMillis).toBeLessThanOrEqual(millis)
  client.close()
})
