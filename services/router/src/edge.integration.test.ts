/** Requirements E5, E7, E8, E10, E17, E18 on a running edge. */
import { connect as connectTcp } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "./testing/RawOrigin.ts"
import { readAll, readUntil, sendRaw, TestEdge } from "./testing/TestEdge.ts"

let edge: TestEdge
let origin: RawOrigin
const request = (host: string, more = "Connection: close\r\n") => `GET / HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`
const status = (answer: string) => Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? 0)

beforeAll(async () => {
  edge = await TestEdge.start({
    limits: { headMillis: 1000, bodyMillis: 1000, idleMillis: 1500, drainMillis: 1000 },
    pool: { responseMillis: 2000 }
  })
  origin = await RawOrigin.start((socket, piece) => {
    const path = / (\/[^ ]*)/.exec(piece)?.[1]
    if (path === "/silent") return
    if (path === "/endless") {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
      const more = () => socket.write(Buffer.alloc(65536), () => setImmediate(more))
      return void more()
    }
    if (piece.includes("\r\n\r\n")) socket.write(ok("served"))
  })
  await edge.add("shop.example.org", origin.url, {}, ["www.example.org", "alias.example.org"])
  await edge.add("www.example.org", origin.url)
  await edge.add("alias.example.org", origin.url, { tenant_id: "tenant-2" })
  await edge.add("other.example.org", origin.url)
  await edge.add("*.wild.example.org", origin.url)
  await edge.add("exact.wild.example.org", origin.url, { tenant_id: "tenant-2" })
})

afterAll(async () => {
  await edge.stop()
  await origin.stop()
})

describe("E5: SNI, Host and tenant are decided per request", () => {
  it("serves the connection's own name, and a second one that its certificate covers for the same tenant", async () => {
    expect(status(await sendRaw(edge, "shop.example.org", request("shop.example.org")))).toBe(200)
    expect(status(await sendRaw(edge, "SHOP.example.org", request("shop.EXAMPLE.org.")))).toBe(200)
    expect(status(await sendRaw(edge, "shop.example.org", request("www.example.org")))).toBe(200)
  })

  it("answers 421 for fronting: another certificate, another tenant, an unknown name", async () => {
    for (const host of ["other.example.org", "alias.example.org", "unknown.example.org", "exact.wild.example.org"]) {
      expect(status(await sendRaw(edge, "shop.example.org", request(host))), host).toBe(421)
    }
  })

  it("decides each request of one connection anew", async () => {
    const answer = await sendRaw(edge, "shop.example.org", request("shop.example.org", "") + request("other.example.org", ""))
    expect([...answer.matchAll(/HTTP\/1\.1 ([0-9]+)/g)].map((match) => match[1])).toEqual(["200", "421"])
  })

  it("D8: a wildcard covers one label, and never shadows an exact name of another tenant", async () => {
    expect(status(await sendRaw(edge, "a.wild.example.org", request("a.wild.example.org")))).toBe(200)
    expect(status(await sendRaw(edge, "a.wild.example.org", request("b.wild.example.org")))).toBe(200)
    expect(status(await sendRaw(edge, "a.wild.example.org", request("exact.wild.example.org")))).toBe(421)
    await expect(edge.connect("a.b.wild.example.org")).rejects.toThrow()
    await expect(edge.connect("wild.example.org")).rejects.toThrow()
  })

  it("ends handshakes without SNI or with an unknown one, at no cost", async () => {
    const made = edge.router.contexts.made
    await expect(edge.connect("unknown.example.org")).rejects.toThrow()
    await expect(edge.connect("")).rejects.toThrow()
    expect(edge.router.contexts.made).toBe(made)
  })

  it.each(["TLSv1.2", "TLSv1.3"] as const)("a resumed %s session carries the rights of its own SNI only", async (version) => {
    const options = {
      host: "127.0.0.1",
      port: edge.https,
      ca: [edge.authority.pem],
      maxVersion: version,
      checkServerIdentity: () => undefined
    }
    const session = await new Promise<Buffer>((resolve, reject) => {
      const socket = connectTls({ ...options, servername: "shop.example.org" })
      socket.once("session", resolve).once("error", reject)
      socket.write(request("shop.example.org", ""))
    })
    const again = (servername: string) =>
      new Promise<{ reused: boolean; answer: string }>((resolve, reject) => {
        const socket: TLSSocket = connectTls({ ...options, servername, session }, () => {
          const reused = socket.isSessionReused()
          const answer = readAll(socket)
          socket.write(request("shop.example.org"))
          void answer.then((text) => resolve({ reused, answer: text }))
        })
        socket.once("error", reject)
      })
    const same = await again("shop.example.org")
    expect(same).toMatchObject({ reused: true, answer: expect.stringMatching(/^HTTP\/1\.1 200/) })
    const swapped = await again("other.example.org")
    expect(swapped.reused).toBe(false)
    expect(status(swapped.answer)).toBe(421)
  })

  it("reads a ClientHello that comes in pieces", async () => {
    const raw = connectTcp(edge.https, "127.0.0.1")
    const write = raw.write.bind(raw)
    // Every write of the handshake leaves in bytes of its own.
    raw.write = ((data: Uint8Array, ...rest: ReadonlyArray<never>) => {
      if (data.length > 100) for (let at = 0; at < data.length; at += 90) write(data.slice(at, at + 90))
      else write(data)
      const done = rest.at(-1) as unknown
      if (typeof done === "function") done()
      return true
    }) as typeof raw.write
    const socket = connectTls({ socket: raw, servername: "shop.example.org", ca: [edge.authority.pem] })
    const answer = readAll(socket)
    socket.write(request("shop.example.org"))
    expect(status(await answer)).toBe(200)
  })
})

describe("E8: slow clients and origins", () => {
  it("bounds the time for a head, a body, idleness, and taking an answer", async () => {
    expect(status(await sendRaw(edge, "shop.example.org", "GET / HTTP/1.1\r\nHo"))).toBe(408)
    expect(
      status(await sendRaw(edge, "shop.example.org", "POST /silent HTTP/1.1\r\nHost: shop.example.org\r\nContent-Length: 5\r\n\r\nab"))
    ).toBe(408)
    const idle = await edge.connect("shop.example.org")
    idle.write(request("shop.example.org", ""))
    expect(await readAll(idle)).toMatch(/served$/)
    const lazy = await edge.connect("shop.example.org")
    lazy.write("GET /endless HTTP/1.1\r\nHost: shop.example.org\r\n\r\n")
    while (edge.router.metrics.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    while (edge.router.metrics.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    lazy.destroy()
  })

  it("lets a client go at once that leaves during the handshake", async () => {
    const before = edge.router.listeners.open
    const timeouts = edge.router.listeners.failedHandshakes.get("timeout") ?? 0
    for (const leave of ["end", "destroy"] as const) {
      const options = { host: "127.0.0.1", port: edge.https, servername: "shop.example.org", rejectUnauthorized: false }
      await new Promise((resolve) => {
        const socket = connectTls(options, () => socket[leave]())
        socket.on("close", resolve)
      })
    }
    const half = connectTcp(edge.https, "127.0.0.1")
    half.write(Buffer.from([22, 3, 1, 2]))
    await new Promise((resolve) => setTimeout(resolve, 50))
    half.destroy()
    while (edge.router.listeners.open > before) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(edge.router.listeners.failedHandshakes.get("timeout") ?? 0).toBe(timeouts)
  })

  it("answers 504 for an origin that is silent", async () => {
    expect(
      status(await sendRaw(edge, "shop.example.org", "GET /silent HTTP/1.1\r\nHost: shop.example.org\r\nConnection: close\r\n\r\n"))
    ).toBe(504)
  })
})

describe("E7: PROXY protocol, E8: connections per client", () => {
  it("believes a trusted balancer, in either version, and closes on anything else", async () => {
    const behind = await TestEdge.start({ trustedProxies: [parseNetwork("127.0.0.1/32")!] })
    await behind.add("shop.example.org", origin.url)
    const through = async (header: Buffer | string) => {
      const raw = connectTcp(behind.https, "127.0.0.1")
      raw.write(header)
      const socket = connectTls({ socket: raw, servername: "shop.example.org", ca: [behind.authority.pem] })
      const answer = readAll(socket)
      socket.write(request("shop.example.org"))
      return answer
    }
    origin.received.length = 0
    expect(status(await through("PROXY TCP4 192.0.2.7 192.0.2.2 5000 443\r\n"))).toBe(200)
    const six = "\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24\x20\x01\x0d\xb8" + "\0".repeat(11) + "\x09" + "\0".repeat(20)
    expect(status(await through(Buffer.from(six, "latin1")))).toBe(200)
    expect(origin.received.join("")).toContain("X-Forwarded-For: 192.0.2.7\r\n")
    expect(origin.received.join("")).toContain('Forwarded: for="[2001:db8::9]";')
    expect(await through("PROXY TCP4 192.0.2.256 1.2.3.4 1 2\r\n")).toBe("")
    expect(await through("")).toBe("")
    const plain = await behind.connectPlain()
    const end = readAll(plain)
    plain.write("PROXY TCP4 192.0.2.7 192.0.2.2 5000 80\r\nGET /x HTTP/1.1\r\nHost: shop.example.org\r\nConnection: close\r\n\r\n")
    expect(status(await end)).toBe(308)
    await behind.stop()
    const stranger = await TestEdge.start({ trustedProxies: [parseNetwork("10.0.0.0/8")!] })
    await stranger.add("shop.example.org", origin.url)
    await expect(stranger.connect("shop.example.org")).rejects.toThrow()
    await stranger.stop()
  })

  it("lets one address have so many connections and no more", async () => {
    const small = await TestEdge.start({ perClient: 2 })
    await small.add("shop.example.org", origin.url)
    const [one, two] = [await small.connect("shop.example.org"), await small.connect("shop.example.org")]
    await expect(small.connect("shop.example.org")).rejects.toThrow()
    const gone = readAll(one)
    one.end()
    await gone
    while (small.router.listeners.open > 1) await new Promise((resolve) => setTimeout(resolve, 5))
    const again = await small.connect("shop.example.org")
    again.destroy()
    two.destroy()
    await small.stop()
  })
})

describe("E10: origins", () => {
  it("connects to no address that the policy denies, and answers 508 in a circle", async () => {
    await edge.add("inside.example.org", "https://169.254.169.254")
    await edge.add("private.example.org", "http://10.0.0.1")
    for (const host of ["inside.example.org", "private.example.org"]) expect(status(await sendRaw(edge, host, request(host)))).toBe(502)
    const loop = "CDN-Loop: connect-domain, other; v=1\r\nCDN-Loop: Connect-Domain, connect-domain\r\nConnection: close\r\n"
    expect(status(await sendRaw(edge, "shop.example.org", request("shop.example.org", loop)))).toBe(508)
  })
})

describe("E17: nothing that a client sends ends the process", () => {
  it("outlives garbage on both ports", async () => {
    for (const bytes of ["\x16\x03\x01\xff\xff", "\x00".repeat(70_000), "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]) {
      for (const port of [edge.http, edge.https]) {
        const socket = connectTcp(port, "127.0.0.1")
        const end = readAll(socket)
        socket.end(bytes, "latin1")
        await end
      }
    }
    const h2 = await edge.connect("shop.example.org", { alpn: ["h2"] })
    const end = readAll(h2)
    h2.end("this is no preface")
    await end
    expect(status(await sendRaw(edge, "shop.example.org", request("shop.example.org")))).toBe(200)
  })

  it("E18: a poisoned X-Forwarded-Host changes nothing for the next request", async () => {
    const socket = await edge.connect("shop.example.org")
    socket.write(request("shop.example.org", "X-Forwarded-Host: evil.example.org\r\n"))
    await readUntil(socket, (text) => text.endsWith("served"))
    expect(origin.received.join("")).not.toContain("evil")
    socket.destroy()
  })
})
