/** E14: drain and reload, on processes with signals. What a drain does to single connections stands in `edge.integration.test.ts`. */
import { connect as connectHttp2 } from "node:http2"
import { connect as connectTcp } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ControlPlane } from "../testing/ControlPlane.ts"
import { EdgeProcess } from "../testing/EdgeProcess.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, readUntil } from "../testing/TestEdge.ts"

const host = "shop.example.org"
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
/** Longer than any test: whoever waits for it fails. */
const forever = "3600"
let plane: ControlPlane
let origin: RawOrigin
let answerSlow: Array<() => void> = []

beforeAll(async () => {
  plane = await ControlPlane.start()
  origin = await RawOrigin.start((socket, piece) => {
    if (piece === "still here") return
    if (piece.includes("/slow")) return void answerSlow.push(() => socket.write(ok("slow")))
    if (piece.includes("/ws")) return void socket.write(switching)
    if (piece.includes("/events")) return void socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    socket.write(ok("served"))
  })
  await plane.hold(host, { origin: origin.url })
})

afterAll(async () => {
  await plane.stop()
  await origin.stop()
})

const start = async (id: string, more: Readonly<Record<string, string>> = {}, ports = { http: 0, https: 0 }) => {
  const edge = await EdgeProcess.start({ NATS_URL: plane.nats.url, CD_EDGE_ID: id, CD_EDGE_DRAIN_SECONDS: forever, ...more }, ports)
  await plane.applied(id, 1)
  return edge
}

const open = (edge: { readonly https: number }, alpn = "http/1.1"): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: edge.https, servername: host, ca: plane.authority.pem, ALPNProtocols: [alpn] }
    const socket = connectTls(options, () => resolve(socket)).once("error", reject)
  })
const ask = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

describe("E14: SIGTERM", () => {
  it("E14: ends at once with 0 when nothing is in flight, whatever clients keep open", async () => {
    const edge = await start("idle")
    const used = await open(edge)
    used.write(ask("/"))
    await readUntil(used, (text) => text.endsWith("served"))
    const unused = await open(edge)
    const plain = connectTcp(edge.http, "127.0.0.1")
    const silent = connectTcp(edge.https, "127.0.0.1")
    const half = connectTcp(edge.https, "127.0.0.1")
    half.write(Buffer.from([22, 3, 1, 2]))
    const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: plane.authority.pem })
    const goaway = new Promise((resolve) => session.once("goaway", resolve))
    await new Promise((resolve) => session.once("remoteSettings", resolve))
    const ends = [used, unused, plain, silent, half].map((socket) => readAll(socket))
    expect(await edge.stop()).toBe(0)
    expect(await goaway).toBe(0)
    expect(await Promise.all(ends)).toEqual(["", "", "", "", ""])
  })

  it("E14: finishes what is in flight over either protocol, says Connection: close and GOAWAY, takes nothing new, ends with 0", async () => {
    answerSlow = []
    const edge = await start("busy")
    const one = await open(edge)
    const oneEnd = readAll(one)
    one.write(ask("/slow"))
    const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: plane.authority.pem })
    const goaway = new Promise((resolve) => session.once("goaway", resolve))
    const stream = session.request({ ":path": "/slow", ":authority": host })
    let body = ""
    stream.on("data", (piece) => {
      body += piece
    })
    const streamEnd = new Promise((resolve) => stream.once("close", resolve))
    while (answerSlow.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    edge.child.kill("SIGTERM")
    expect(await goaway).toBe(0)
    await expect(open(edge)).rejects.toThrow()
    for (const answer of answerSlow) answer()
    expect(await oneEnd).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*\r\nConnection: close\r\n[\s\S]*slow$/)
    await streamEnd
    expect(body).toBe("slow")
    expect(await edge.exited).toBe(0)
  })

  it("E14: bounds WebSocket, event streams and tunnels over HTTP/2 by the drain time, and ends with 0", async () => {
    const edge = await start("long", { CD_EDGE_DRAIN_SECONDS: "1" })
    const socket = await open(edge)
    socket.write(ask("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"))
    await readUntil(socket, (text) => text.endsWith("hello"))
    const events = await open(edge)
    events.write(ask("/events"))
    await readUntil(events, (text) => text.includes("hi"))
    const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: plane.authority.pem })
    session.on("error", () => {})
    await new Promise((resolve) => session.once("remoteSettings", resolve))
    const tunnel = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/ws", ":authority": host })
    tunnel.on("error", () => {})
    await new Promise((resolve) => tunnel.once("data", resolve))
    const [socketEnd, eventsEnd] = [readAll(socket), readAll(events)]
    edge.child.kill("SIGTERM")
    // In the drain time a tunnel goes on.
    await readUntilReady(edge)
    socket.write("still here")
    await origin.until((text) => text.includes("still here"))
    expect(await edge.exited).toBe(0)
    expect(await socketEnd).toBe("")
    expect(await eventsEnd).not.toContain("0\r\n\r\n")
  })
})

/** The edge has begun to drain: nobody can connect. */
const readUntilReady = async (edge: EdgeProcess): Promise<void> => {
  for (;;) {
    const refused = await new Promise((resolve) => {
      const socket = connectTcp(edge.http, "127.0.0.1")
      socket.once("connect", () => resolve(socket.destroy() && false)).once("error", () => resolve(true))
    })
    if (refused === true) return
  }
}

describe("E14: reload", () => {
  it("E14: the next process listens first, and no request fails while hostnames change", async () => {
    const reuse = { CD_EDGE_REUSE_PORT: "true" }
    let current = await start("roll-0", reuse)
    const { ports } = current
    let [running, served] = [true, 0]
    const failed: Array<string> = []
    const unopened: Array<string> = []
    const client = async () => {
      while (running) {
        const socket = await open(ports).catch((error: NodeJS.ErrnoException) => void unopened.push(error.code ?? error.message))
        if (socket === undefined) continue
        const end = readAll(socket)
        socket.write(ask("/", "Connection: close\r\n"))
        const answer = await end
        if (/^HTTP\/1\.1 200 OK[\s\S]*served$/.test(answer)) served++
        else failed.push(answer)
      }
    }
    const clients = [client(), client()]
    const rounds = 2
    for (let round = 1; round <= rounds; round++) {
      const old = current
      current = await start(`roll-${round}`, reuse, ports)
      const stopped = old.stop()
      for (let at = 0; at < 20; at++) await plane.hold(`n${round}-${at}.example.org`, { origin: origin.url })
      expect(await stopped).toBe(0)
    }
    running = false
    await Promise.all(clients)
    expect(await current.stop()).toBe(0)
    expect(failed).toEqual([])
    expect(served).toBeGreaterThan(50)
    // Somebody always listens, and finishes every handshake that he has accepted. What the kernel had queued for a listener when it closed is reset, one
    // connection of each client at most (Linux moves it to the new listener where net.ipv4.tcp_migrate_req is 1).
    expect(unopened.filter((code) => code !== "ECONNRESET")).toEqual([])
    expect(unopened.length).toBeLessThanOrEqual(clients.length * rounds)
  })
})
