/** RFC 9110 §15.2: interim answers stand before the final one, never in it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { readUntil, TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
/** Longer than the edge waits before it asks for a body by itself. */
const pastContinue = 1500
let edge: TestEdge
let origin: RawOrigin

beforeAll(async () => {
  edge = await TestEdge.start()
  origin = await RawOrigin.start((socket, piece) => {
    if (!piece.includes("\r\n\r\n")) return
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789")
    setTimeout(() => socket.write("abcdefghij"), pastContinue)
  })
  await edge.add(host, origin.url)
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

describe("interim answers", () => {
  it("an answer that came before the body was asked for is not broken into by 100 Continue", async () => {
    const socket = await edge.connect(host)
    socket.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
    const answer = await readUntil(socket, (text) => text.includes("abcdefghij"))
    expect(answer.slice(answer.indexOf("\r\n\r\n"))).toBe("\r\n\r\n0123456789abcdefghij")
    socket.destroy()
  })
})
