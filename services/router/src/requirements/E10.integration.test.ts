/** E10: an origin is only ever reached at an address that was checked, at each connection anew. */
import { createSocket } from "node:dgram"
import { Resolver } from "node:dns"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { makeAddressPolicy, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import type { Resolve } from "@connect-domain/egress/resolveName.ts"
import packet from "dns-packet"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { sendRaw, TestEdge } from "../testing/TestEdge.ts"

/** The origin's address, which is open; all the rest of the loopback network stands for what is inside. */
const outside = "127.0.0.2"
let edge: TestEdge
let origin: Server
/** Listens on the same port at 127.0.0.1: whoever reaches it has reached the inside. */
let inside: Server
let port: number
const reached: Array<string> = []
let resolveOrigin: Resolve
let dns: ReturnType<typeof createSocket>
let answers: (name: string, count: number) => ReadonlyArray<string>
const asked = new Map<string, number>()

const listen = (server: Server, at: number, host: string) =>
  new Promise<number>((resolve, reject) =>
    server.once("error", reject).listen(at, host, () => resolve((server.address() as AddressInfo).port))
  )

beforeAll(async () => {
  origin = createServer({ keepAlive: false } as never, (_, response) => void response.setHeader("connection", "close").end("outside"))
  inside = createServer((request, response) => {
    reached.push(request.url ?? "")
    response.end("inside")
  })
  port = await listen(origin, 0, outside)
  await listen(inside, port, "127.0.0.1")
  // A DNS server of the attacker's: what it says depends on how often it was asked, and must not be kept (TTL 0).
  dns = createSocket("udp4", (bytes, from) => {
    const { id, questions } = packet.decode(bytes)
    const { name, type } = questions![0]!
    const count = asked.get(`${name} ${type}`) ?? 0
    asked.set(`${name} ${type}`, count + 1)
    const found = type === "A" ? answers(name, count).map((data) => ({ name, type, ttl: 0, data }) as const) : []
    dns.send(packet.encode({ type: "response", id: id!, questions: questions!, answers: found }), from.port, from.address)
  })
  await new Promise<void>((resolve) => dns.bind(0, "127.0.0.1", resolve))
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${dns.address().port}`])
  resolveOrigin = (hostname, done) =>
    resolver.resolve4(hostname, (error, found) =>
      done(
        error,
        (found ?? []).map((address) => ({ address, family: 4 }))
      )
    )
  edge = await TestEdge.start({ policy: makeAddressPolicy([parseNetwork(`${outside}/32`)!]), resolveOrigin })
})

afterEach(() => {
  reached.length = 0
})

afterAll(async () => {
  await edge.stop()
  dns.close()
  for (const server of [origin, inside]) {
    server.closeAllConnections()
    server.close()
  }
})

const ask = (of: TestEdge, host: string) => sendRaw(of, host, `GET /${host} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
const get = (host: string) => ask(edge, host)
/** What the access log says of a request. */
const codeOf = async (of: TestEdge, host: string) => {
  const codes: Array<string> = []
  of.router.metrics.onRecord = (record) => void codes.push(record.code)
  expect(statusOf(await ask(of, host))).toBe(502)
  return codes.at(-1)
}
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? 0)

describe("E10: origins", () => {
  it("E10: a name that alternates between outside and inside is followed outside only", async () => {
    answers = (_, count) => [count % 2 === 0 ? outside : "127.0.0.1"]
    await edge.add("rebinding.example.org", `http://alternates.attacker.test:${port}`)
    const statuses: Array<number> = []
    for (let at = 0; at < 6; at++) statuses.push(statusOf(await get("rebinding.example.org")))
    expect(statuses).toEqual([200, 502, 200, 502, 200, 502])
    expect(reached).toEqual([])
  })

  it("E10: of several addresses the ones inside are never tried, in whatever order they come", async () => {
    answers = (_, count) => (count % 2 === 0 ? ["127.0.0.1", outside, "10.0.0.1"] : [outside, "169.254.169.254", "127.0.0.1"])
    await edge.add("mixed.example.org", `http://mixed.attacker.test:${port}`)
    for (let at = 0; at < 4; at++) expect(await get("mixed.example.org")).toMatch(/outside$/)
    answers = () => ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1"]
    expect(statusOf(await get("mixed.example.org"))).toBe(502)
    expect(reached).toEqual([])
  })

  it("E10: five hundred addresses are an answer like another", async () => {
    answers = () => Array.from({ length: 300 }, (_, at) => `10.0.${at >> 8}.${at & 255}`)
    await edge.add("many.example.org", `http://many.attacker.test:${port}`)
    expect(statusOf(await get("many.example.org"))).toBe(502)
  })

  it.each([
    ["loopback", "127.0.0.1"],
    ["decimal", "2130706433"],
    ["octal", "0177.0.0.1"],
    ["hexadecimal", "0x7f.0.0.1"],
    ["one hexadecimal number", "0x7f000001"],
    ["short", "127.1"],
    ["IPv6 loopback", "[::1]"],
    ["IPv4-mapped", "[::ffff:127.0.0.1]"],
    ["IPv4-mapped in hexadecimal", "[::ffff:7f00:1]"],
    ["IPv4-compatible", "[::127.0.0.1]"],
    ["NAT64", "[64:ff9b::7f00:1]"],
    ["6to4", "[2002:7f00:1::]"],
    ["the unspecified address", "0.0.0.0"],
    ["the unspecified address of IPv6", "[::]"],
    ["metadata", "169.254.169.254"],
    ["metadata of IPv6", "[fd00:ec2::254]"],
    ["link-local", "[fe80::1]"],
    ["with a trailing dot", "127.0.0.1."],
    ["in full-width digits", "１２７.0.0.1"]
  ])("E10: inside, written %s, is 502", async (_, address) => {
    answers = () => ["127.0.0.1"]
    const host = `literal.example.org`
    for (const scheme of ["http", "https"]) {
      await edge.add(host, `${scheme}://${address}:${port}`)
      expect([502, 503]).toContain(statusOf(await get(host)))
    }
    expect(reached).toEqual([])
  })

  it("E10: the check holds with a PROXY header before the request too", async () => {
    answers = () => ["127.0.0.1"]
    for (const target of ["127.0.0.1", "alternates.attacker.test"]) {
      await edge.add("preface.example.org", `http://${target}:${port}`, { flags: { proxy_protocol: "v1" } })
      expect(statusOf(await get("preface.example.org"))).toBe(502)
    }
    expect(reached).toEqual([])
  })

  it("E10: a redirect of the origin's is the client's, never followed", async () => {
    const redirecting = await RawOrigin.answering(`HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${port}/x\r\nContent-Length: 0\r\n\r\n`)
    const open = await TestEdge.start()
    await open.add("redirect.example.org", redirecting.url)
    const answer = await sendRaw(open, "redirect.example.org", "GET / HTTP/1.1\r\nHost: redirect.example.org\r\nConnection: close\r\n\r\n")
    expect(answer).toContain(`302 Found\r\nLocation: http://127.0.0.1:${port}/x`)
    expect(reached).toEqual([])
    await open.stop()
    await redirecting.stop()
  })

  it("E10: an origin that is the edge itself ends with 508 after a few hops, whatever else the header holds", async () => {
    const circle = await TestEdge.start({}, { http: 0, https: 0 })
    let hops = 0
    // The way back in, as a vendor's origin that forwards to its own public name.
    const back = createServer((request, response) => {
      hops++
      const lines = Object.entries(request.headers).filter(([name]) => name === "cdn-loop")
      const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")
      void sendRaw(circle, "circle.example.org", `GET / HTTP/1.1\r\nHost: circle.example.org\r\n${text}Connection: close\r\n\r\n`).then(
        (answer) => response.writeHead(statusOf(answer)).end()
      )
    })
    const at = await listen(back, 0, "127.0.0.1")
    await circle.add("circle.example.org", `http://127.0.0.1:${at}`)
    const answer = await sendRaw(
      circle,
      "circle.example.org",
      "GET / HTTP/1.1\r\nHost: circle.example.org\r\nCDN-Loop: other, another; v=1\r\nConnection: close\r\n\r\n"
    )
    expect(statusOf(answer)).toBe(508)
    expect(hops).toBeLessThan(6)
    back.closeAllConnections()
    back.close()
    await circle.stop()
  })

  it.each([22, 25, 53, 143, 389, 2049, 3659, 6000, 6667, 10_080])(
    "E10: port %i is another protocol's, also where the network is open",
    async (at) => {
      answers = () => [outside]
      for (const target of [`http://${outside}:${at}`, `https://${outside}:${at}`, `http://ports.attacker.test:${at}`]) {
        await edge.add("ports.example.org", target)
        expect([target, await codeOf(edge, "ports.example.org")]).toEqual([target, "origin-connect-denied"])
      }
    }
  )

  it("E10: the edge's own address and port are no origin, by whatever name and in whatever form; its other ports may be", async () => {
    answers = () => ["127.0.0.1"]
    const policy = makeAddressPolicy([parseNetwork("127.0.0.0/8")!])
    const own = { addresses: ["192.0.2.1", "127.0.0.1"], ports: [port] }
    const careful = await TestEdge.start({ policy, resolveOrigin, own })
    for (const host of ["127.0.0.1", "[::ffff:127.0.0.1]", "edge.attacker.test"]) {
      await careful.add("self.example.org", `http://${host}:${port}`)
      expect([host, await codeOf(careful, "self.example.org")]).toEqual([host, "origin-connect-denied"])
      await careful.add("self.example.org", `http://${host}:${port}`, { flags: { proxy_protocol: "v1" } })
      expect([host, await codeOf(careful, "self.example.org")]).toEqual([host, "origin-connect-denied"])
    }
    expect(reached).toEqual([])
    const beside = await RawOrigin.answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await careful.add("beside.example.org", beside.url)
    expect(statusOf(await ask(careful, "beside.example.org"))).toBe(200)
    await careful.stop()
    await beside.stop()
  })
})
