/** Upgrades over HTTP/2 (RFC 8441): what the client sends before the origin has agreed belongs to the tunnel, or to nobody. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { frame, headers, RawHttp2 } from "../testing/RawHttp2.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readUntil, TestEdge } from "../testing/TestEdge.ts"
import { ErrorCode, Flag, FrameType, uint32 } from "./frames.ts"

const host = "shop.example.org"
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: internal.example.org\r\n\r\n"
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
const connect = (stream: number, path: string) => {
  const fields = [":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", host, ":path", path]
  return headers(stream, fields, Flag.EndHeaders)
}
const data = (stream: number, text: string, flags = 0) => frame(FrameType.Data, flags, stream, text)

let origin: RawOrigin
/** Answers the request that waits. */
let answer: (() => void) | undefined
/** Tunnels whose client has ended. */
let ends = 0

beforeAll(async () => {
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.startsWith("GET /agreed")) {
      socket.once("end", () => ends++)
      answer = () => socket.write(switching)
    } else if (piece.startsWith("GET /declined")) answer = () => socket.write(ok("no tunnel here"))
    else if (piece.startsWith("GET")) socket.write(ok(`answer to ${piece.split(" ")[1]}`))
  })
})

afterAll(() => origin.stop())

const answered = async (): Promise<void> => {
  while (answer === undefined) await new Promise((resolve) => setTimeout(resolve, 2))
  answer()
  answer = undefined
}

describe.each(["own", "node"] as const)("the codec %s", (http2) => {
  let edge: TestEdge
  beforeAll(async () => {
    edge = await TestEdge.start({ http2 })
    await edge.add(host, origin.url)
  })
  afterAll(() => edge.stop())

  it("E4: DATA before the origin's answer to an upgrade never reaches the origin, and the connection is used no more", async () => {
    origin.received.length = 0
    const client = await RawHttp2.open(edge, host)
    client.send(connect(1, "/declined") + data(1, smuggled) + data(1, "x".repeat(10_000)))
    await client.settled()
    client.send(data(1, smuggled))
    await client.settled()
    await answered()
    await client.until(() => client.text === "no tunnel here")
    expect(edge.router.pool.size).toMatchObject({ busy: 0, idle: 0 })
    client.send(headers(3, [":method", "GET", ":scheme", "https", ":authority", host, ":path", "/next"]))
    await client.until(() => client.text.endsWith("answer to /next"))
    expect(origin.received).toHaveLength(2)
    expect(origin.received.join("")).not.toMatch(/smuggled|xxx/)
    client.close()
  })

  it("E3: what came before the origin agreed goes through the tunnel first, and so does the end", async () => {
    origin.received.length = 0
    const before = ends
    const client = await RawHttp2.open(edge, host)
    client.send(connect(1, "/agreed") + data(1, "early "))
    await client.settled()
    client.send(data(1, "bird", Flag.EndStream))
    await client.settled()
    expect(origin.received.join("")).not.toContain("early")
    await answered()
    await origin.until((text) => text.endsWith("\r\n\r\nearly bird"))
    while (ends === before) await new Promise((resolve) => setTimeout(resolve, 2))
    client.close()
  })

  it("E3: a client that gives an upgrade up before it is answered takes its bytes with it", async () => {
    origin.received.length = 0
    const client = await RawHttp2.open(edge, host)
    client.send(connect(1, "/agreed") + data(1, smuggled))
    await origin.until((text) => text.includes("/agreed"))
    client.send(frame(FrameType.RstStream, 0, 1, uint32(ErrorCode.Cancel)))
    await client.settled()
    await answered()
    while (edge.router.pool.size.busy > 0) await new Promise((resolve) => setTimeout(resolve, 2))
    expect(edge.router.pool.size.idle).toBe(0)
    expect(origin.received.join("")).not.toContain("smuggled")
    client.close()
  })
})

describe("HTTP/1.1", () => {
  it("E4: bytes behind an upgrade that the origin declines are the next request, and the connection is used no more", async () => {
    origin.received.length = 0
    const edge = await TestEdge.start()
    await edge.add(host, origin.url)
    const socket = await edge.connect(host)
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
    socket.write(`GET /declined HTTP/1.1\r\nHost: ${host}\r\n${upgrade}\r\nGET /next HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    await origin.until((text) => text.includes("/declined"))
    expect(origin.received.join("")).not.toContain("/next")
    await answered()
    await readUntil(socket, (text) => text.endsWith("answer to /next"))
    expect(origin.received).toHaveLength(2)
    socket.destroy()
    await edge.stop()
  })
})
