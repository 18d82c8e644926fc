/** WebSockets through the edge, over HTTP/1.1 and over HTTP/2 (RFC 8441), to an origin that speaks HTTP/1.1. */
import { createServer, type Server } from "node:http"
import { connect as connectHttp2 } from "node:http2"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readAll, readUntil, TestEdge } from "./testing/TestEdge.ts"

let edge: TestEdge
let origin: Server

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = createServer()
  origin.on("upgrade", (request, socket, head) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Host: ${request.headers.host}\r\n\r\nhello`
    )
    if (head.length > 0) socket.write(head)
    socket.on("data", (piece) => socket.write(piece))
    socket.on("end", () => socket.end())
    socket.on("error", () => {})
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  await edge.add("shop.example.org", `http://127.0.0.1:${(origin.address() as AddressInfo).port}`)
})

afterAll(async () => {
  await edge.stop()
  origin.close()
})

describe("WebSocket over HTTP/1.1", () => {
  it("tunnels WebSocket both ways", async () => {
    const socket = await edge.connect("shop.example.org")
    socket.write(
      "GET /ws HTTP/1.1\r\nHost: shop.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nearly"
    )
    const first = await readUntil(socket, (text) => text.includes("early"))
    expect(first).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Host: shop\.example\.org\r\n\r\nhello/
    )
    socket.write("ping")
    await readUntil(socket, (text) => text.includes("ping"))
    const closed = readAll(socket)
    socket.end()
    await closed
  })
})

describe("WebSocket over HTTP/2 (RFC 8441)", () => {
  it("opens a tunnel to an HTTP/1.1 origin and carries bytes both ways", async () => {
    const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: "shop.example.org", ca: edge.authority.pem })
    await new Promise((resolve) => session.once("remoteSettings", resolve))
    const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/ws", ":authority": "shop.example.org" })
    const echoed = (wanted: string) =>
      new Promise<void>((resolve) => {
        let text = ""
        stream.on("data", (piece) => {
          text += piece
          if (text.includes(wanted)) resolve()
        })
      })
    const status = new Promise((resolve) => stream.once("response", (fields) => resolve(fields[":status"])))
    const hello = echoed("hello")
    expect(await status).toBe(200)
    await hello
    const large = "z".repeat(500_000)
    const back = echoed(large)
    stream.write(large)
    await back
    stream.end()
    await new Promise((resolve) => stream.once("close", resolve))
    session.close()
  })
})
