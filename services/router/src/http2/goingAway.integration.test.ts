/** GOAWAY without an error (RFC 9113 §6.8): a warning first, and the last stream's id when no more can be on their way. */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { frame, headers, RawHttp2 } from "../testing/RawHttp2.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { ErrorCode, Flag, FrameType, maxStreamId } from "./frames.ts"

const host = "shop.example.org"
const get = (stream: number) => headers(stream, [":method", "GET", ":scheme", "https", ":authority", host, ":path", "/"])
let edge: TestEdge
let origin: RawOrigin
let answer: () => void

beforeEach(async () => {
  edge = await TestEdge.start()
  let waiting = 0
  origin = await RawOrigin.start(() => waiting++)
  answer = () => {
    for (const socket of origin.sockets) socket.write(ok("served"))
  }
  await edge.add(host, origin.url)
})
afterEach(async () => {
  await edge.stop(0)
  await origin.stop()
})

describe("an edge that ends", () => {
  it("E14: serves requests that were on their way when its first GOAWAY was, and refuses later ones", async () => {
    const client = await RawHttp2.open(edge, host)
    client.send(get(1))
    await origin.until((text) => text !== "")
    const stopped = edge.stop(60_000)
    await client.until(() => client.goaways.length === 1)
    expect(client.lastStreams).toEqual([maxStreamId])
    client.send(get(3) + frame(FrameType.Ping, Flag.Ack, 0, "farewell") + get(5))
    await client.until(() => client.goaways.length === 2)
    await client.until(() => client.resets.length === 1)
    while (origin.received.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    answer()
    await client.until(() => client.closed)
    expect(client.lastStreams).toEqual([maxStreamId, 3])
    expect([client.goaways, client.resets, [...client.ended].sort()]).toEqual([[0, 0], [[5, ErrorCode.RefusedStream]], [1, 3]])
    expect(client.text).toBe("servedserved")
    await stopped
  })

  it("names no later stream in an error's GOAWAY than it promised", async () => {
    const client = await RawHttp2.open(edge, host)
    client.send(get(1))
    await origin.until((text) => text !== "")
    const stopped = edge.stop(60_000)
    await client.until(() => client.goaways.length === 1)
    client.send(frame(FrameType.Ping, Flag.Ack, 0, "farewell") + get(3) + frame(FrameType.Ping, 0, 1, "12345678"))
    await client.until(() => client.closed)
    expect(client.lastStreams).toEqual([maxStreamId, 1, 1])
    await stopped
  })

  it("E14: does not wait for long for a client that doesn't answer", async () => {
    const client = await RawHttp2.open(edge, host)
    await client.settled()
    const stopped = edge.stop(60_000)
    await client.until(() => client.closed)
    expect(client.lastStreams).toEqual([maxStreamId, 0])
    await stopped
  })
})
