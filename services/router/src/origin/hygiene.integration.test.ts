/** Requirement E4: what an origin may answer, and when its connection is not used again. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, sendRaw, TestEdge } from "../testing/TestEdge.ts"

let edge: TestEdge
const close = "Connection: close\r\n"
beforeAll(async () => {
  edge = await TestEdge.start()
})
afterAll(() => edge.stop())

describe("E4: upstream hygiene", () => {
  const get = (host: string) => sendRaw(edge, host, `GET /x HTTP/1.1\r\nHost: ${host}\r\n${close}\r\n`)

  it("never uses a connection again that carried more than its answer", async () => {
    const extra = await RawOrigin.answering(`${ok("one")}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`)
    await edge.add("extra.example.org", extra.url)
    for (let at = 0; at < 3; at++) expect(await get("extra.example.org")).toMatch(/one$/)
    expect(extra.received).toHaveLength(3)
    await extra.stop()
  })

  it("answers 502 for ambiguous framing and interim floods", async () => {
    const bodies = [
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\none",
      "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20),
      "HTTP/2 200\r\n\r\n"
    ]
    for (const [at, bytes] of bodies.entries()) {
      const bad = await RawOrigin.answering(bytes)
      await edge.add(`bad${at}.example.org`, bad.url)
      expect(await get(`bad${at}.example.org`)).toMatch(/HTTP\/1\.1 502 /)
      await bad.stop()
    }
  })

  it("passes a head whole although its body and trailers came in the same segment", async () => {
    const lines = "X-One: 1\r\nX-Two: 22\r\n"
    const chunked = `HTTP/1.1 200 OK\r\n${lines}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX-Trailer-Of-Another-Length: t\r\nX-Sum: 42\r\n\r\n`
    const all = await RawOrigin.answering(chunked)
    await edge.add("all.example.org", all.url)
    const answer = await get("all.example.org")
    expect(answer).toContain(`HTTP/1.1 200 OK\r\n${lines}`)
    expect(answer).toMatch(/\r\n3\r\none\r\n0\r\nX-Trailer-Of-Another-Length: t\r\nX-Sum: 42\r\n\r\n$/)
    await all.stop()
  })

  it("ends the client's connection when the origin breaks off in the middle", async () => {
    const torn = await RawOrigin.start((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    await edge.add("torn.example.org", torn.url)
    const answer = await get("torn.example.org")
    expect(answer).toMatch(/half$/)
    await torn.stop()
  })

  it("sends an idempotent request again when a kept connection was closed under it", async () => {
    const fickle = await RawOrigin.start((socket, _, connection) => {
      if (connection === 0 && fickle.received[0]!.split("GET").length > 2) return void socket.destroy()
      socket.write(ok(`from ${connection}`))
    })
    await edge.add("fickle.example.org", fickle.url)
    expect(await get("fickle.example.org")).toMatch(/from 0$/)
    expect(await get("fickle.example.org")).toMatch(/from 1$/)
    await fickle.stop()
  })

  it("destroys a connection on which the answer came before the request was complete", async () => {
    const early = await RawOrigin.start((socket, piece) => void (piece.includes("\r\n\r\n") && socket.write(ok("early"))))
    await edge.add("early.example.org", early.url)
    const socket = await edge.connect("early.example.org")
    socket.write("POST / HTTP/1.1\r\nHost: early.example.org\r\nContent-Length: 100\r\n\r\nsome")
    const answer = await readAll(socket)
    expect(answer).toMatch(/Connection: close\r\n[\s\S]*early$/)
    expect(await get("early.example.org")).toMatch(/early$/)
    expect(early.received).toHaveLength(2)
    await early.stop()
  })
})
