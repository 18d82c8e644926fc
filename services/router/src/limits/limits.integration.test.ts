/** E8: limits on a real edge: rates over every protocol, connections, handshakes, shares, slow clients. */
import { connect as connectHttp2 } from "node:http2"
import { connect as connectTcp } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { SlowClients, slowKinds } from "../testing/SlowClients.ts"
import { readAll, readUntil, sendRaw, TestEdge } from "../testing/TestEdge.ts"
import { openGate } from "./Gate.ts"

let origin: RawOrigin
const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"
const mebibyte = "m".repeat(1024 * 1024)

beforeAll(async () => {
  origin = await RawOrigin.start((socket, piece) => {
    if (piece.includes("GET /silent") || piece.startsWith("POST")) return
    if (piece.includes("GET /large")) socket.write(ok(mebibyte.repeat(16)))
    else if (piece.includes("Upgrade: websocket")) socket.write(upgraded)
    else if (piece.includes("\r\n\r\n")) socket.write(ok("served"))
  })
})
afterAll(() => origin.stop())

const get = (host: string, more = "") => `GET / HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? 0)
const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 ([0-9]{3})/g)].map((match) => Number(match[1]))
const settled = async (edge: TestEdge) => {
  while (edge.router.gate.load.inFlight > 0 || edge.router.metrics.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5))
}
/** A slow rate, so that no test run is slow enough for a second request. */
const limits = { requests_per_second: 0.001, burst: 3 }

const http2Statuses = async (edge: TestEdge, host: string, count: number): Promise<ReadonlyArray<[number, string | undefined]>> => {
  const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
  const answers: Array<[number, string | undefined]> = []
  for (let n = 0; n < count; n++) {
    await new Promise<void>((resolve, reject) => {
      const stream = session.request({ ":path": "/", ":authority": host })
      stream.on("response", (headers) => answers.push([headers[":status"]!, headers["retry-after"]]))
      stream.on("error", reject).on("close", resolve).resume()
    })
  }
  session.close()
  return answers
}

describe("E8: requests per second of a hostname", () => {
  it("answer 429 with the exact Retry-After over HTTP/1.1, as JSON to programs, and go on with the connection", async () => {
    const edge = await TestEdge.start()
    await edge.add("shop.example.org", origin.url, { flags: { limits } })
    await edge.add("free.example.org", origin.url)
    const one = "GET / HTTP/1.1\r\nHost: shop.example.org\r\nAccept: application/json\r\n\r\n"
    const socket = await edge.connect("shop.example.org")
    const answer = readUntil(socket, (text) => statuses(text).length === 5 && text.endsWith("}\n"))
    socket.write(one.repeat(5))
    const text = await answer
    expect(statuses(text)).toEqual([200, 200, 200, 429, 429])
    const [first, second] = [...text.matchAll(/Retry-After: ([0-9]+)/g)].map((match) => Number(match[1]))
    expect(first).toBe(1000)
    expect(second).toBe(1000)
    expect(text).toContain('"code":"too_many_requests"')
    socket.destroy()
    expect(await sendRaw(edge, "shop.example.org", get("shop.example.org", "Accept: text/html\r\n"))).toMatch(
      /^HTTP\/1\.1 429 [\s\S]*<!doctype html>/i
    )
    expect(statusOf(await sendRaw(edge, "free.example.org", get("free.example.org")))).toBe(200)
    expect(edge.router.gate.refusals.get("hostname-rate")).toBe(3)
    await edge.stop()
  })

  it.each(["own", "node"] as const)("hold over HTTP/2 (%s codec), with streams of one session", async (http2) => {
    const edge = await TestEdge.start({ http2 })
    await edge.add("shop.example.org", origin.url, { flags: { limits } })
    const answers = await http2Statuses(edge, "shop.example.org", 5)
    expect(answers.map(([status]) => status)).toEqual([200, 200, 200, 429, 429])
    expect(answers.slice(3).map(([, seconds]) => seconds)).toEqual(["1000", "1000"])
    await edge.stop()
  })

  it("hold for WebSocket upgrades", async () => {
    const edge = await TestEdge.start()
    await edge.add("shop.example.org", origin.url, { flags: { limits: { ...limits, burst: 1 } } })
    const upgrade =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    const open = async () => {
      const socket = await edge.connect("shop.example.org")
      const head = readUntil(socket, (text) => text.includes("\r\n\r\n"))
      socket.write(`GET /socket HTTP/1.1\r\nHost: shop.example.org\r\n${upgrade}\r\n`)
      return { socket, status: statusOf(await head) }
    }
    const tunnel = await open()
    const refused = await open()
    expect([tunnel.status, refused.status]).toEqual([101, 429])
    // A tunnel uses the origin for as long as it lasts.
    expect(edge.router.gate.load.inFlight).toBe(1)
    for (const { socket } of [tunnel, refused]) socket.destroy()
    await settled(edge)
    await edge.stop()
  })
})

describe("E8: one client", () => {
  const behind = (edge: TestEdge, client: string) => {
    const raw = connectTcp(edge.https, "127.0.0.1")
    raw.write(
      `PROXY ${client.includes(":") ? "TCP6" : "TCP4"} ${client} ${client.includes(":") ? "2001:db8::1" : "192.0.2.2"} 5000 443\r\n`
    )
    return raw
  }
  const ask = async (edge: TestEdge, client: string, host: string): Promise<number> => {
    const socket = connectTls({ socket: behind(edge, client), servername: host, ca: [edge.authority.pem] })
    const answer = readAll(socket)
    socket.write(get(host))
    return statusOf(await answer)
  }

  it("has a rate of its own for each hostname, and one over all of them; IPv6 by /64", async () => {
    const gate = { ...openGate, clientRequests: { perSecond: 0.001, burst: 3 } }
    const edge = await TestEdge.start({ trustedProxies: [parseNetwork("127.0.0.1/32")!], gate })
    const perIp = { requests_per_second_per_ip: 0.001, burst_per_ip: 2 }
    await edge.add("a.example.org", origin.url, { flags: { limits: perIp } })
    await edge.add("b.example.org", origin.url)
    const of = async (client: string, ...hosts: ReadonlyArray<string>) => {
      const seen: Array<number> = []
      for (const host of hosts) seen.push(await ask(edge, client, `${host}.example.org`))
      return seen
    }
    expect(await of("192.0.2.7", "a", "a", "a", "b", "b")).toEqual([200, 200, 429, 200, 429])
    expect(await of("192.0.2.8", "a")).toEqual([200])
    expect(await of("2001:db8:1:2::1", "a", "a")).toEqual([200, 200])
    expect(await of("2001:db8:1:2:9:9:9:9", "a")).toEqual([429])
    expect(await of("2001:db8:1:3::1", "a")).toEqual([200])
    await edge.stop()
  })

  it("begins so many handshakes a second, and is cut off before a byte of the next is read", async () => {
    const edge = await TestEdge.start({
      trustedProxies: [parseNetwork("127.0.0.1/32")!],
      gate: { ...openGate, clientHandshakes: { perSecond: 0.001, burst: 2 } }
    })
    await edge.add("a.example.org", origin.url)
    expect([await ask(edge, "192.0.2.7", "a.example.org"), await ask(edge, "192.0.2.7", "a.example.org")]).toEqual([200, 200])
    expect(await ask(edge, "192.0.2.7", "a.example.org")).toBe(0)
    expect(await ask(edge, "192.0.2.8", "a.example.org")).toBe(200)
    expect(edge.router.gate.refusals.get("client-handshakes")).toBe(1)
    await edge.stop()
  })
})

describe("E8: connections and open requests of a hostname", () => {
  it("are so many and no more, by the name in the handshake; others are not touched", async () => {
    const edge = await TestEdge.start()
    await edge.add("shop.example.org", origin.url, { flags: { limits: { connections: 2 } } })
    await edge.add("other.example.org", origin.url)
    const open: Array<TLSSocket> = [await edge.connect("shop.example.org"), await edge.connect("shop.example.org")]
    await expect(edge.connect("shop.example.org")).rejects.toThrow(/internal error/)
    open.push(await edge.connect("other.example.org"))
    open.shift()!.destroy()
    while (edge.router.listeners.open > 2) await new Promise((resolve) => setTimeout(resolve, 5))
    open.push(await edge.connect("shop.example.org"))
    for (const socket of open) socket.destroy()
    await edge.stop()
  })

  it("that are open are counted until they are over, however they end", async () => {
    const edge = await TestEdge.start({ gate: { ...openGate, hostnameRequests: 1 }, limits: { drainMillis: 300 } })
    await edge.add("shop.example.org", origin.url)
    await edge.add("dead.example.org", "http://127.0.0.1:1")
    const silent = await edge.connect("shop.example.org")
    silent.write("GET /silent HTTP/1.1\r\nHost: shop.example.org\r\n\r\n")
    while (edge.router.gate.load.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await sendRaw(edge, "shop.example.org", get("shop.example.org"))).toMatch(/^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n/)
    silent.destroy()
    await settled(edge)
    for (const host of ["shop.example.org", "dead.example.org", "dead.example.org", "shop.example.org"])
      expect(statusOf(await sendRaw(edge, host, get(host)))).toBe(host.startsWith("shop") ? 200 : 502)
    expect((await http2Statuses(edge, "shop.example.org", 3)).map(([status]) => status)).toEqual([200, 200, 200])
    await settled(edge)
    await edge.stop()
  })
})

describe("E8: overload", () => {
  it("sheds the flooded hostname with 503 and alerts, and nothing of the quiet one", async () => {
    const edge = await TestEdge.start({ gate: { ...openGate, lateMillis: 100 } })
    const { load, refusals } = edge.router.gate
    load.stop() // the test is its clock
    await edge.add("loud.example.org", origin.url, { tenant_id: "tenant-2" })
    await edge.add("quiet.example.org", origin.url)
    const ask = "GET / HTTP/1.1\r\nHost: loud.example.org\r\n\r\n"
    const answers: Array<Promise<string>> = []
    const open: Array<TLSSocket | undefined> = []
    for (let tick = 0; tick < 30; tick++) {
      const socket = await edge.connect("loud.example.org").catch(() => undefined)
      if (socket !== undefined) answers.push(readAll(socket))
      socket?.write(ask.repeat(200))
      open.push(socket)
      expect(statusOf(await sendRaw(edge, "quiet.example.org", get("quiet.example.org")))).toBe(200)
      load.tick({ elapsed: 50, late: 400, busy: 1 })
    }
    expect(load.overload.shedding).toBe(true)
    expect(refusals.get("overload")).toBeGreaterThan(0)
    // Held answers come after a second; from now on nothing more is refused.
    for (let tick = 0; tick < 60; tick++) load.tick({ elapsed: 50, late: 0, busy: 0 })
    while (edge.router.metrics.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const socket of open) socket?.end()
    expect((await Promise.all(answers)).join("")).toMatch(/HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n/)
    expect(statusOf(await sendRaw(edge, "loud.example.org", get("loud.example.org")))).toBe(200)
    await edge.stop()
  })
})

describe("E8: slow clients", () => {
  it.each(slowKinds)("that are slow with %s are got rid of, and nobody else waits for them", async (kind) => {
    // Long enough for honest clients on a busy machine.
    const quick = { headMillis: 1200, bodyMillis: 1200, drainMillis: 1200, idleMillis: 1200 }
    const edge = await TestEdge.start({ limits: quick, handshakeMillis: 1200 })
    await edge.add("shop.example.org", origin.url)
    const attackers = new SlowClients()
    const path = kind === "read" ? "/large" : "/"
    await attackers.start(kind, 40, { https: edge.https, host: "shop.example.org", path, everyMillis: kind === "body" ? 1800 : 50 })
    let [probed, over] = [0, false]
    const gone = kind === "read" ? settled(edge) : attackers.allGone()
    void gone.then(() => {
      over = true
    })
    while (!over) {
      expect(statusOf(await sendRaw(edge, "shop.example.org", get("shop.example.org")))).toBe(200)
      probed++
    }
    expect(probed).toBeGreaterThan(1)
    attackers.stop()
    await settled(edge)
    while (edge.router.listeners.open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await edge.stop()
  })
})
