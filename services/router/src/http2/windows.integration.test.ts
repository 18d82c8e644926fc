/** Flow control of what the edge sends (RFC 9113 §6.9): a window that the client changes while an answer is under way. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { frame, headers, RawHttp2 } from "../testing/RawHttp2.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { ErrorCode, Flag, FrameType, maxWindow, Setting, settingsFrame, uint32, windowFrame } from "./frames.ts"

const host = "shop.example.org"
/** Its origin never answers: its streams' windows stay as they are. */
const silentHost = "silent.example.org"
let edge: TestEdge
let origin: RawOrigin
let silent: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await RawOrigin.answering(ok("a".repeat(50_000)))
  await edge.add(host, origin.url)
  silent = await RawOrigin.start(() => {})
  await edge.add(silentHost, silent.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
  await silent.stop()
})

const get = (stream: number, name = host) => headers(stream, [":method", "GET", ":scheme", "https", ":authority", name, ":path", "/"])
const initialWindow = (size: number) => settingsFrame([[Setting.InitialWindowSize, size]])
const open = (size: number, name = host) => RawHttp2.open(edge, name, [[Setting.InitialWindowSize, size]])
/** What came of a stream's body by the time the edge has acted on everything that was sent. */
const settled = async (client: RawHttp2, stream: number): Promise<number> => {
  await client.settled()
  return client.received.get(stream) ?? 0
}

describe("SETTINGS_INITIAL_WINDOW_SIZE in the middle of an answer", () => {
  it("takes from a window that is used up, below zero, and sends again only when it is above", async () => {
    const client = await open(1000)
    client.send(get(1))
    await client.until(() => client.received.get(1) === 1000)
    client.send(initialWindow(400)) // 600 below zero
    expect(await settled(client, 1)).toBe(1000)
    client.send(windowFrame(1, 600))
    expect(await settled(client, 1)).toBe(1000)
    client.send(windowFrame(1, 50))
    await client.until(() => client.received.get(1) === 1050)
    client.send(initialWindow(5400))
    await client.until(() => client.received.get(1) === 6050)
    expect(await settled(client, 1)).toBe(6050)
    client.send(get(3)) // has the present window from its beginning
    await client.until(() => client.received.get(3) === 5400)
    client.send(initialWindow(0))
    client.send(initialWindow(50_000))
    await client.until(() => client.received.get(1) === 50_000)
    expect([client.goaways, client.resets]).toEqual([[], []])
    client.close()
  })

  it("ends the connection when a stream's window would pass 2^31-1, and only the stream when its own update does that", async () => {
    const client = await open(1000, silentHost)
    client.send(get(1, silentHost))
    client.send(get(3, silentHost))
    client.send(windowFrame(1, maxWindow - 1000))
    await settled(client, 1)
    expect(client.resets).toEqual([])
    client.send(windowFrame(1, 1))
    await client.until(() => client.resets.length > 0)
    expect([client.resets, client.goaways]).toEqual([[[1, ErrorCode.FlowControl]], []])
    client.send(initialWindow(0))
    client.send(windowFrame(3, 1))
    await settled(client, 3)
    expect(client.goaways).toEqual([])
    client.send(initialWindow(maxWindow))
    await client.until(() => client.goaways.length > 0)
    expect(client.goaways).toEqual([ErrorCode.FlowControl])
    client.close()
  })
})

it("E9: what overran its stream's window still counts as read for the connection's", async () => {
  const client = await open(1000, silentHost)
  const post = (stream: number) =>
    headers(stream, [":method", "POST", ":scheme", "https", ":authority", silentHost, ":path", "/"], Flag.EndHeaders)
  const piece = frame(FrameType.Data, 0, 0, "x".repeat(16_000))
  const on = (stream: number) => piece.slice(0, 5) + uint32(stream) + piece.slice(9)
  // The last 16,000 of 272,000 bytes on each stream are too many; all of these together are more than the connection's window.
  for (let stream = 1; stream < 160; stream += 2) {
    client.send(post(stream) + on(stream).repeat(17))
    await client.settled()
    expect(client.goaways).toEqual([])
  }
  expect(new Set(client.resets.map(([, code]) => code))).toEqual(new Set([ErrorCode.FlowControl]))
  expect(client.resets.length).toBeGreaterThan(66) // of the others the origin had taken some by then
  client.close()
})

describe("a client that gives no window back", () => {
  const slow = "slow.example.org"
  let patient: TestEdge
  let large: RawOrigin
  beforeAll(async () => {
    patient = await TestEdge.start({ limits: { drainMillis: 1000 } })
    large = await RawOrigin.answering(ok("b".repeat(300_000)))
    await patient.add(slow, large.url)
  })
  afterAll(async () => {
    await patient.stop()
    await large.stop()
  })

  it("may be silent for a while: it reads what it has, and gives back half of a large window at a time", async () => {
    const client = await RawHttp2.open(patient, slow, [[Setting.InitialWindowSize, 30_000]])
    client.send(get(1, slow))
    await client.until(() => client.received.get(1) === 30_000)
    await new Promise((resolve) => setTimeout(resolve, 2500)) // longer than it may take for what lies in the socket
    client.send(windowFrame(1, 300_000) + windowFrame(0, 300_000))
    await client.until(() => client.ended.has(1) || client.resets.length > 0)
    expect([client.received.get(1), client.resets]).toEqual([300_000, []])
    client.close()
  })

  it.each([
    ["a stream's window, while the connection's is shut", [1, 3]],
    ["the connection's window, while its streams' are open", [0]]
  ])("E9: is cut off in the end, though it nudges %s", async (_, nudged) => {
    const client = await RawHttp2.open(patient, slow, [[Setting.InitialWindowSize, 40_000]])
    const codes: Array<string> = []
    patient.router.metrics.onRecord = ({ code }) => codes.push(code)
    client.send(get(1, slow) + get(3, slow))
    await client.until(() => (client.received.get(1) ?? 0) + (client.received.get(3) ?? 0) === 65_535)
    while (client.resets.length < 2) {
      client.send(nudged.map((stream) => windowFrame(stream, 1)).join(""))
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(client.resets.map(([, code]) => code)).toEqual([ErrorCode.Cancel, ErrorCode.Cancel])
    expect(codes).toEqual(["client-too-slow", "client-too-slow"])
    while (patient.router.pool.size.busy > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    client.close()
  })
})
