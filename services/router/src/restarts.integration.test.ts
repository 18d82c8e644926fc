/** Requirement E14 on a running edge: it leaves, and another takes its place on the same ports. */
import { connect as connectHttp2 } from "node:http2"
import { connect as connectTls } from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "./testing/RawOrigin.ts"
import { readAll, TestEdge } from "./testing/TestEdge.ts"

let origin: RawOrigin
/** Answers to /slow, each given when it is called. */
const slowOnes: Array<() => void> = []
const request = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
const status = (answer: string) => Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? 0)

beforeAll(async () => {
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.startsWith("GET /slow ")) slowOnes.push(() => socket.write(ok("slow")))
    else if (piece.includes("\r\n\r\n")) socket.write(ok("served"))
  })
})
afterAll(() => origin.stop())

describe("E14: draining", () => {
  it("finishes what is in flight, closes what is idle, refuses what is new", async () => {
    const leaving = await TestEdge.start()
    await leaving.add("shop.example.org", origin.url)
    const idle = await leaving.connect("shop.example.org")
    const idleEnd = readAll(idle)
    const busy = await leaving.connect("shop.example.org")
    const busyEnd = readAll(busy)
    busy.write("GET /slow HTTP/1.1\r\nHost: shop.example.org\r\n\r\n")
    const session = connectHttp2(`https://127.0.0.1:${leaving.https}`, { servername: "shop.example.org", ca: leaving.authority.pem })
    const slow = session.request({ ":path": "/slow", ":authority": "shop.example.org" })
    const slowEnd = new Promise<string>((resolve) => {
      let text = ""
      slow.on("data", (piece) => {
        text += piece
      })
      slow.on("close", () => resolve(text))
    })
    while (slowOnes.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    const stopped = leaving.stop(60_000)
    await expect(leaving.connect("shop.example.org")).rejects.toThrow()
    for (const answer of slowOnes) answer()
    expect(await idleEnd).toBe("")
    expect(await busyEnd).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*Connection: close[\s\S]*slow$/)
    expect(await slowEnd).toBe("slow")
    await stopped
  })
})

describe("E14: rolling restart", () => {
  it("fails no request while processes that share the ports replace each other", async () => {
    const make = async (ports = { http: 0, https: 0 }) => {
      const next = await TestEdge.start({}, { ...ports, reusePort: true })
      await next.add("shop.example.org", origin.url)
      return next
    }
    let current = await make()
    const ports = { http: current.http, https: current.https }
    const results = { served: 0, failed: 0 }
    let running = true
    const client = async () => {
      while (running) {
        const socket = connectTls({ host: "127.0.0.1", port: ports.https, servername: "shop.example.org", rejectUnauthorized: false })
        let accepted = false
        socket.once("secureConnect", () => {
          accepted = true
          socket.write(request("shop.example.org"))
        })
        // A connection that the kernel had queued for the old listener when it closed is reset before its handshake; clients connect again
        // (Linux moves it to the new listener where net.ipv4.tcp_migrate_req is 1).
        const answer = await readAll(socket)
        if (accepted) results[status(answer) === 200 ? "served" : "failed"]++
      }
    }
    const clients = [client(), client(), client(), client()]
    for (let round = 0; round < 5; round++) {
      const old = current
      current = await make(ports)
      await old.stop(3000)
    }
    running = false
    await Promise.all(clients)
    await current.stop()
    expect(results.failed).toBe(0)
    expect(results.served).toBeGreaterThan(5)
  })
})
