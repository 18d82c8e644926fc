/** What a vendor sets, seen by a visitor: over HTTP/1.1, HTTP/2 by the edge's own codec, and HTTP/2 by node:http2. */
import { createServer, type Server } from "node:http"
import { connect as connectHttp2 } from "node:http2"
import { type AddressInfo, createServer as createTcpServer } from "node:net"
import { createServer as createTlsServer } from "node:tls"
import type { HostnameFlags } from "@connect-domain/messages/edge.ts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, sendRaw, TestEdge } from "../testing/TestEdge.ts"
import { readProxyHeader } from "../tls/proxyProtocol.ts"

interface Seen {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

let origin: Server
let url: string
const edges: Record<"own" | "node", TestEdge> = {} as never

beforeAll(async () => {
  origin = createServer((request, response) => {
    if (request.url?.startsWith("/broken")) return void request.socket.destroy()
    response.setHeader("strict-transport-security", "max-age=9")
    // Led to what the query names, as a login page leads back.
    const location = new URL(request.url ?? "", url).searchParams.get("to")
    if (location !== null) response.setHeader("location", location)
    response.end(JSON.stringify({ url: request.url, host: request.headers.host }))
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
  edges.own = await TestEdge.start({ http2: "own" })
  edges.node = await TestEdge.start({ http2: "node" })
})

afterAll(async () => {
  await edges.own.stop()
  await edges.node.stop()
  origin.closeAllConnections()
  origin.close()
})

/** `hops`: an OPTIONS with this as Max-Forwards, instead of a GET. */
const overHttp1 = async (edge: TestEdge, host: string, path: string, accept: string, hops?: string): Promise<Seen> => {
  const [method, more] = hops === undefined ? ["GET", ""] : ["OPTIONS", `Max-Forwards: ${hops}\r\n`]
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\n${more}Connection: close\r\n\r\n`
  const text = await sendRaw(edge, host, head)
  const [first = "", ...lines] = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n")
  const headers = lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()])
  return { status: Number(first.split(" ")[1]), headers: Object.fromEntries(headers), body: text.slice(text.indexOf("\r\n\r\n") + 4) }
}

const overHttp2 = async (edge: TestEdge, host: string, path: string, accept: string, hops?: string): Promise<Seen> => {
  const socket = await edge.connect(host, { alpn: ["h2"] })
  const session = connectHttp2(`https://${host}`, { createConnection: () => socket })
  const more = hops === undefined ? {} : { ":method": "OPTIONS", "max-forwards": hops }
  const stream = session.request({ ":path": path, ":authority": host, accept, ...more })
  const headers = await new Promise<Record<string, string>>((resolve) => stream.on("response", (received) => resolve(received as never)))
  let body = ""
  for await (const piece of stream) body += String(piece)
  session.close()
  return { status: Number(headers[":status"]), headers, body }
}

type Ask = (host: string, path?: string, accept?: string) => Promise<Seen>
const ways: ReadonlyArray<readonly [string, "own" | "node", typeof overHttp1]> = [
  ["HTTP/1.1", "own", overHttp1],
  ["HTTP/2, own codec", "own", overHttp2],
  ["HTTP/2, node:http2", "node", overHttp2]
]

let names = 0
/** A fresh name with these flags, and the way to ask for it. */
const served = async (which: "own" | "node", flags: HostnameFlags, prefix = "", host = `n${++names}.example.org`) => {
  await edges[which].add(host, url + prefix, { flags: flags as never })
  return host
}
const setApplication = (which: "own" | "node", flags: HostnameFlags, error_page: string | null = null, origin: string | null = url) =>
  edges[which].router.applications.put({ application_id: "app-1", tenant_id: "tenant-1", origin, flags, error_page })

describe.each(ways)("over %s", (_, which, asking) => {
  const ask: Ask = (host, path = "/", accept = "text/html") => asking(edges[which], host, path, accept)
  const hsts = { max_age: 60, include_subdomains: true, preload: false }
  const hstsValue = "max-age=60; includeSubDomains"

  it("a redirect answers before the origin is asked, with HSTS when that is set", async () => {
    const redirect_to = { hostname: "new.example.org", path: "/shop", status: 302, keep_path: true } as const
    const seen = await ask(await served(which, { redirect_to, hsts }), "/a?b=c")
    expect([seen.status, seen.headers.location]).toEqual([302, "https://new.example.org/shop/a?b=c"])
    expect(seen.headers["strict-transport-security"]).toBe(hstsValue)
  })

  it("a name sends visitors to its www name only while that can be served", async () => {
    const host = await served(which, { redirect_to: { hostname: "www", status: 308, keep_path: true } })
    expect((await ask(host)).status).toBe(200)
    await served(which, {}, "", `www.${host}`)
    expect([(await ask(host, "/x")).status, (await ask(host, "/x")).headers.location]).toEqual([308, `https://www.${host}/x`])
    expect((await ask(host)).headers["cache-control"]).toBe("max-age=300")
    expect((await ask(`www.${host}`)).status).toBe(200)
  })

  it("maintenance is a 503 with its own Retry-After, as a page or as JSON", async () => {
    const host = await served(which, { maintenance: { retry_after: 1234 } })
    const page = await ask(host)
    expect([page.status, page.headers["retry-after"], page.headers["cache-control"]]).toEqual([503, "1234", "no-store"])
    expect(page.body).toContain("Maintenance")
    const json = await ask(host, "/", "application/json")
    expect(JSON.parse(json.body).error).toEqual({ code: "maintenance", message: expect.any(String), request_id: expect.any(String) })
  })

  it("a Location below the origin's path, or of an origin asked under its own name, becomes the visitor's; others stay", async () => {
    const locationOf = async (host: string, to: string) => (await ask(host, `/?to=${encodeURIComponent(to)}`)).headers.location
    const below = await served(which, {}, "/tenants/x")
    expect(await locationOf(below, "/tenants/x/login?a=b")).toBe(`https://${below}/login?a=b`)
    expect(await locationOf(below, `${url}/tenants/x/login`)).toBe(`https://${below}/login`)
    expect(await locationOf(below, `${url}/other`)).toBe(`${url}/other`)
    expect(await locationOf(await served(which, {}), `${url}/login`)).toBe(`${url}/login`)
    const named = await served(which, { host_header: "origin" })
    expect(await locationOf(named, `${url}/login`)).toBe(`https://${named}/login`)
  })

  it.each([
    ["OPTIONS that go no further", "0", 200],
    ["a request that can't be read: its server name is known", "x", 400]
  ])("HSTS is on the answer to %s", async (_, hops, status) => {
    for (const [flags, value] of [[{ hsts }, hstsValue] as const, [{}, undefined] as const]) {
      const seen = await asking(edges[which], await served(which, flags), "/", "text/html", hops)
      expect([seen.status, seen.headers["strict-transport-security"]]).toEqual([status, value])
    }
  })

  it("HSTS replaces the origin's; without it the origin's stays", async () => {
    expect((await ask(await served(which, { hsts }))).headers["strict-transport-security"]).toBe(hstsValue)
    expect((await ask(await served(which, {}))).headers["strict-transport-security"]).toBe("max-age=9")
  })

  it("the origin sees its own name when that is wanted, and paths below its own path", async () => {
    const host = await served(which, { host_header: "origin" }, "/tenants/x/")
    expect(JSON.parse((await ask(host, "/a?b=/../")).body)).toEqual({ url: "/tenants/x/a?b=/../", host: new URL(url).host })
    for (const path of ["/a/..;/b", "/a/%2e%2e%2f%2e%2e/b", "/a%5c..%5cb"])
      expect([path, (await ask(host, path)).status]).toEqual([path, 400])
    expect(JSON.parse((await ask(await served(which, {}), "/a/../b")).body).url).toMatch(/b$/)
  })

  it("the vendor's page stands for every error of its hostnames, with a policy that lets nothing run", async () => {
    const host = await served(which, {})
    setApplication(which, { hsts }, "<!doctype html><style>p{color:red}</style><p>{status} {title} {hostname} {request_id}</p>")
    const page = await ask(host, "/broken")
    setApplication(which, {})
    expect(page.status).toBe(502)
    expect(page.body).toMatch(new RegExp(`<style>p{color:red}</style><p>502 Bad Gateway ${host} [0-9a-f]+-[0-9a-z]+</p>$`))
    expect(page.headers["content-security-policy"]).toContain("default-src 'none'")
    expect(page.headers["strict-transport-security"]).toBe(hstsValue)
    expect((await ask(host, "/broken")).body).toContain("Bad Gateway")
  })

  it("an application's change holds for its hostnames at once; a hostname's own setting goes before", async () => {
    const [follows, differs] = [await served(which, { origin: "application" }), await served(which, { maintenance: false })]
    expect((await ask(follows)).status).toBe(200)
    setApplication(which, { maintenance: { retry_after: 1 } }, null, `${url}/moved`)
    expect([(await ask(follows)).status, (await ask(differs)).status]).toEqual([503, 200])
    setApplication(which, {}, null, `${url}/moved`)
    expect(JSON.parse((await ask(follows, "/p")).body).url).toBe("/moved/p")
    setApplication(which, {})
  })

  it("limits of the application hold, and a hostname's own instead of them", async () => {
    setApplication(which, { limits: { requests_per_second: 1, burst: 1 } }, "<p>{status}</p>")
    const [follows, differs] = [await served(which, {}), await served(which, { limits: { requests_per_second: 1000 } })]
    const all = [await ask(follows), await ask(follows), await ask(differs), await ask(differs)]
    setApplication(which, {})
    expect(all.map(({ status }) => status)).toEqual([200, 429, 200, 200])
    expect([all[1]!.headers["retry-after"], all[1]!.body]).toEqual(["1", "<p>429</p>"])
  })
})

describe("around them", () => {
  it("port 80 still leads to HTTPS and says nothing of HSTS, whatever is set", async () => {
    const host = await served("own", {
      maintenance: { retry_after: 1 },
      hsts: { max_age: 60, include_subdomains: false, preload: false },
      redirect_to: { hostname: "new.example.org", status: 301, keep_path: false }
    })
    const socket = await edges.own.connectPlain()
    socket.end(`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    const text = await readAll(socket)
    expect(text).toMatch(new RegExp(`^HTTP/1.1 308 [\\s\\S]*Location: https://${host}:${edges.own.https}/x\r\n`))
    expect(text.toLowerCase()).not.toContain("strict-transport")
  })

  it("421 is answered with the page of the name that the connection was made for", async () => {
    const host = await served("own", {})
    setApplication("own", {}, "<p>{status}</p>")
    const text = await sendRaw(edges.own, host, "GET / HTTP/1.1\r\nHost: other.example.net\r\nAccept: text/html\r\n\r\n")
    setApplication("own", {})
    expect(text).toMatch(/^HTTP\/1.1 421 [\s\S]*<p>421<\/p>$/)
  })
})

describe("a PROXY header for the origin", () => {
  it.each(["v1", "v2"] as const)("%s stands once in front of each connection, and no connection serves two requests", async (version) => {
    const raw = await RawOrigin.start((socket, piece) => {
      if (piece.endsWith("\r\n\r\n")) socket.write(ok("served"))
    })
    const host = `proxied-${version}.example.org`
    const { idle } = edges.own.router.pool.size
    await edges.own.add(host, raw.url, { flags: { proxy_protocol: version } })
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n`
    const answers = await sendRaw(edges.own, host, `${request}\r\n${request}Connection: close\r\n\r\n`)
    expect([...answers.matchAll(/HTTP\/1.1 200/g)]).toHaveLength(2)
    expect(raw.received).toHaveLength(2)
    for (const received of raw.received) {
      const bytes = Buffer.from(received, "latin1")
      const header = readProxyHeader(bytes)
      if (typeof header === "string") throw new Error(header)
      expect(header.address).toBe("127.0.0.1")
      expect(bytes.toString("latin1", header.length)).toMatch(/^GET \/ HTTP\/1.1\r\n/)
    }
    expect(edges.own.router.pool.size).toMatchObject({ busy: 0, idle })
    await raw.stop()
  })

  it("stands before TLS, and an origin that is not who it should be is still refused", async () => {
    const authority = edges.own.authority
    const issued = await authority.issue(["localhost"])
    const heads: Array<string> = []
    const server = createTlsServer({ key: issued.key, cert: issued.chain }, (socket) => socket.end(ok("secure")))
    const front = createTcpServer((socket) => {
      socket.once("data", (first: Buffer) => {
        const header = readProxyHeader(first)
        if (typeof header === "string") return void socket.destroy()
        heads.push(first.toString("latin1", 0, header.length))
        socket.pause().unshift(first.subarray(header.length))
        server.emit("connection", socket)
      })
    })
    await new Promise<void>((resolve) => front.listen(0, resolve))
    const port = (front.address() as AddressInfo).port
    const edge = await TestEdge.start({ originCa: [authority.pem] })
    await edge.add("secure.example.org", `https://localhost:${port}`, { flags: { proxy_protocol: "v1" } })
    await edge.add("wrong.example.org", `https://127.0.0.1:${port}`, { flags: { proxy_protocol: "v1" } })
    const ask = (host: string) => sendRaw(edge, host, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    expect(await ask("secure.example.org")).toMatch(/^HTTP\/1.1 200 [\s\S]*secure$/)
    expect(await ask("wrong.example.org")).toMatch(/^HTTP\/1.1 502 /)
    expect(heads[0]).toMatch(/^PROXY TCP4 127.0.0.1 127.0.0.1 [1-9][0-9]* [1-9][0-9]*\r\n$/)
    await edge.stop()
    front.close()
  })
})
