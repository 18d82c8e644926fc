/** RST_STREAM: what may be sent for a stream that is over (RFC 9113 §5.1, §5.4.2). */
import { afterAll, beforeAll, expect, it } from "vitest"
import { frame, headers, RawHttp2 } from "../testing/RawHttp2.ts"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"
import { ErrorCode, Flag, FrameType, uint32 } from "./frames.ts"

const host = "shop.example.org"
const about = [":scheme", "https", ":authority", host, ":path", "/"]
let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.startsWith("GET")) socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
  })
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

it("a tunnel that the client resets is not reset in answer to that", async () => {
  const client = await RawHttp2.open(edge, host)
  client.send(headers(1, [":method", "CONNECT", ":protocol", "websocket", ...about], Flag.EndHeaders))
  await client.until(() => client.blocks.has(1))
  client.log.length = 0
  client.send(frame(FrameType.RstStream, 0, 1, uint32(ErrorCode.Cancel)))
  await client.settled()
  while (edge.router.metrics.tunnels > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  await client.settled()
  expect(client.log.filter(([, stream]) => stream === 1)).toEqual([])
  client.close()
})

it("a frame that gets its stream reset gives no window back for it", async () => {
  const client = await RawHttp2.open(edge, host)
  // With the last frame half of the stream's window is used, and the body is longer than it was said to be.
  const piece = frame(FrameType.Data, 0, 1, "x".repeat(16_384))
  client.send(headers(1, [":method", "POST", ...about, "content-length", "131071"], Flag.EndHeaders) + piece.repeat(7))
  await origin.until((text) => text.endsWith("x".repeat(7 * 16_384)))
  await client.settled()
  client.send(piece)
  await client.until(() => client.resets.length > 0)
  await client.settled()
  const told = client.log.filter(([, stream]) => stream === 1).map(([type]) => type)
  expect([told, client.resets]).toEqual([[FrameType.RstStream], [[1, ErrorCode.Protocol]]])
  client.close()
})
