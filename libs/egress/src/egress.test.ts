import { createServer, type Server } from "node:http"
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net"
import { Effect } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { isPublicAddress, makeAddressPolicy, parseNetwork } from "./AddressPolicy.ts"
import { checkedConnect } from "./checkedConnect.ts"
import { makeLookup } from "./checkedLookup.ts"
import { HttpClient, type RequestOptions } from "./HttpClient.ts"
import type { Resolve } from "./resolveName.ts"

const connectionsOf = (server: TcpServer) => new Promise<number>((done) => server.getConnections((_, count) => done(count)))

const closed = makeAddressPolicy([])
const loopback = makeAddressPolicy(["127.0.0.0/8", "::1/128"].map((text) => parseNetwork(text)!))

describe("addresses", () => {
  it.each([
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "224.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "fec0::1",
    "100::1",
    "2600:1:2:3:0:5efe:7f00:1",
    "localhost",
    "",
    "127.1",
    "0x7f000001",
    "2130706433"
  ])("%s is closed", (address) => {
    expect(isPublicAddress(address)).toBe(false)
    expect(closed.check(address)).toBe("denied")
  })

  it.each([
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "8.8.8.8",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1"
  ])("%s is public", (address) => expect(closed.check(address)).toBe("allowed"))

  it("the allow-list opens what it names, in every form, and nothing else", () => {
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) expect(loopback.check(address)).toBe("opened")
    for (const address of ["10.0.0.1", "::2", "169.254.169.254"]) expect(loopback.check(address)).toBe("denied")
  })

  it("an IPv4 address and its mapped form are judged alike", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(isPublicAddress(`::ffff:${address}`)).toBe(isPublicAddress(address))
      })
    )
  })

  it.each(["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8x"])("%j is no network", (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})

describe("connections", () => {
  let server: Server
  let url: string
  let port: number
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === "/redirect") return response.writeHead(302, { location: "http://169.254.169.254/" }).end()
      if (request.url === "/hang") return
      if (request.url === "/endless") return void setInterval(() => response.write("x".repeat(65_536)), 1).unref()
      let body = ""
      request.on("data", (chunk) => {
        body += chunk
      })
      request.on("end", () => response.writeHead(200, { "x-method": request.method! }).end(body || "hello"))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    port = (server.address() as AddressInfo).port
    url = `http://127.0.0.1:${port}`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  const to = (...addresses: ReadonlyArray<string>): Resolve => {
    let call = 0
    return (_, done) => {
      const address = addresses[Math.min(call++, addresses.length - 1)]!
      done(null, [{ address, family: address.includes(":") ? 6 : 4 }])
    }
  }
  const request = (policy: typeof closed, target: string, options: RequestOptions = {}, resolve?: Resolve) =>
    Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(HttpClient.make(policy, resolve === undefined ? {} : { resolve }), (client) =>
          Effect.match(client.request(target, options), {
            onSuccess: (answer) => `${answer.status} ${Buffer.from(answer.body.subarray(0, 40)).toString()}`,
            onFailure: (error) => error.reason
          })
        )
      )
    )

  it("reaches what is opened", async () => {
    expect(await request(loopback, url)).toBe("200 hello")
    expect(await request(loopback, url, { method: "POST", body: "ping" })).toBe("200 ping")
    expect(await request(loopback, `http://origin.test:${port}/`, {}, to("127.0.0.1"))).toBe("200 hello")
  })

  it("refuses literals, names, disguises and plain http to the internet", async () => {
    for (const target of [
      url,
      "http://localhost/",
      "http://[::1]/",
      "http://0x7f.1/",
      "http://2130706433/",
      "http://[::ffff:7f00:1]/",
      "https://127.0.0.1/"
    ]) {
      expect([target, await request(closed, target)]).toEqual([target, "Denied"])
    }
    expect(await request(closed, "https://inside.test/", {}, to("10.0.0.1"))).toBe("Denied")
    expect(await request(loopback, "http://public.test/", {}, to("1.1.1.1"))).toBe("Denied")
    expect(await request(loopback, "http://169.254.169.254/")).toBe("Denied")
  })

  it("a name that moves inside after its first answer is refused at the next connection", async () => {
    const resolve = to("127.0.0.1", "10.0.0.1")
    expect(await request(loopback, `http://a.test:${port}/`, {}, resolve)).toBe("200 hello")
    expect(await request(loopback, `http://a.test:${port}/`, {}, resolve)).toBe("Denied")
  })

  it("bounds time and size, follows no redirect, takes no credentials in a URL", async () => {
    expect(await request(loopback, `${url}/redirect`)).toBe("302 ")
    expect(await request(loopback, `${url}/hang`, { timeoutMs: 50 })).toBe("Timeout")
    expect(await request(loopback, `${url}/endless`, { maxBytes: 1000 })).toBe("TooLarge")
    expect(await request(loopback, `${url}/endless`, { maxBytes: 10, truncate: true })).toBe("200 xxxxxxxxxx")
    for (const target of ["ftp://127.0.0.1/", "file:///etc/passwd", "nonsense", "http://user:pw@127.0.0.1/"])
      expect(await request(loopback, target)).toBe("InvalidUrl")
  })

  it("a look-up takes no thread of libuv's pool, which a few slow names would fill", () => {
    const before = process.getActiveResourcesInfo()
    makeLookup(loopback, true)("nobody.invalid", { all: true }, () => {})
    expect(process.getActiveResourcesInfo().filter((resource) => !before.includes(resource))).not.toContain("GetAddrInfoReqWrap")
  })

  it("raw sockets obey the same policy", async () => {
    const open = (policy: typeof closed, host: string, at: number, resolve?: Resolve) =>
      new Promise<string>((done) =>
        checkedConnect(policy, { host, port: at, timeoutMillis: 2000, ...(resolve ? { resolve } : {}) }, (error, socket) => {
          socket?.destroy()
          done(error?.reason ?? "open")
        })
      )
    const free = createTcpServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => free.once("listening", resolve))
    const unused = (free.address() as AddressInfo).port
    await new Promise((resolve) => free.close(resolve))
    expect(await open(loopback, "127.0.0.1", port)).toBe("open")
    expect(await open(loopback, "name.test", port, to("127.0.0.1"))).toBe("open")
    expect(await open(closed, "127.0.0.1", port)).toBe("Denied")
    expect(await open(closed, "name.test", port, to("127.0.0.1"))).toBe("Denied")
    expect(await open(loopback, "127.0.0.1", unused)).toBe("Unreachable")
  })

  it("a connection that is given up calls nobody back and leaves nothing open, in whatever state it was", async () => {
    const sockets: Array<Socket> = []
    const silent = createTcpServer((socket) => sockets.push(socket.on("error", () => {}).resume())).listen(0, "127.0.0.1")
    await new Promise((resolve) => silent.once("listening", resolve))
    const at = (silent.address() as AddressInfo).port
    let [called, found] = [0, () => {}]
    const slow: Resolve = (_, done) => {
      found = () => done(null, [{ address: "127.0.0.1", family: 4 }])
    }
    checkedConnect(loopback, { host: "name.test", port: at, resolve: slow }, () => called++)()
    found()
    checkedConnect(loopback, { host: "127.0.0.1", port: at }, () => called++)()
    const giveUp = checkedConnect(loopback, { host: "127.0.0.1", port: at, tls: {}, timeoutMillis: 600_000 }, () => called++)
    while (sockets.length === 0 || sockets.length < (await connectionsOf(silent))) await new Promise((resolve) => setTimeout(resolve, 5))
    giveUp()
    while ((await connectionsOf(silent)) > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(called).toBe(0)
    silent.close()
  })
})
