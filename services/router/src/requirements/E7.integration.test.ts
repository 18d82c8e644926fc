/** E7: PROXY protocol from Debian's haproxy, and from everybody who should not send it. */
import { type ChildProcess, spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { connect as connectTcp } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
const signature = "\r\n\r\n\0\r\nQUIT\n"
let edge: TestEdge
let origin: RawOrigin
let folder: string
let haproxy: ChildProcess
/** Ports of haproxy that send version 1 and 2, for TLS (on IPv4, and on both families) and for port 80. */
let ports: Record<"v1" | "v2" | "both1" | "both2" | "plain", number>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-proxy-"))
  origin = await RawOrigin.answering(ok("served"))
  edge = await TestEdge.start({ trustedProxies: [parseNetwork("127.0.0.1/32")!] })
  await edge.add(host, origin.url)
  const [v1, v2, both1, both2, plain] = (await freePorts(5)) as [number, number, number, number, number]
  ports = { v1, v2, both1, both2, plain }
  const listen = (name: keyof typeof ports, target: number, send: string, bind = `127.0.0.1:${ports[name]}`) =>
    `listen ${name}\n  bind ${bind}\n  server edge 127.0.0.1:${target} ${send} check inter 50ms\n`
  const listens = [
    listen("v1", edge.https, "send-proxy"),
    listen("v2", edge.https, "send-proxy-v2"),
    listen("both1", edge.https, "send-proxy", `:::${ports.both1} v4v6`),
    listen("both2", edge.https, "send-proxy-v2", `:::${ports.both2} v4v6`),
    listen("plain", edge.http, "send-proxy-v2")
  ]
  writeFileSync(
    join(folder, "haproxy.cfg"),
    `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n${listens.join("")}`
  )
  haproxy = spawn("haproxy", ["-db", "-f", join(folder, "haproxy.cfg")], { stdio: "ignore" })
  haproxy.on("error", () => {})
  for (const port of Object.values(ports)) while (!(await connects(port))) await new Promise((resolve) => setTimeout(resolve, 20))
})

afterAll(async () => {
  haproxy.kill("SIGKILL")
  await edge.stop()
  await origin.stop()
  await rm(folder, { recursive: true, force: true })
})

const connects = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connectTcp(port, "127.0.0.1", () => resolve(socket.destroy() !== undefined)).once("error", () => resolve(false))
  })

/** One request from `from` through a haproxy port. */
const through = (port: number, from: string) => {
  const raw = connectTcp({ port, host: from.includes(":") ? "::1" : "127.0.0.1", localAddress: from })
  const socket = connectTls({ socket: raw, servername: host, ca: edge.authority.pem })
  const answer = readAll(socket)
  socket.write(request)
  return answer
}

/** These bytes, then a handshake and a request, straight to the edge. "" when it closes. */
const straight = (header: Buffer | string, from = "127.0.0.1") => {
  const raw = connectTcp({ port: edge.https, host: "127.0.0.1", localAddress: from })
  raw.on("error", () => {})
  raw.write(header, "latin1")
  const socket = connectTls({ socket: raw, servername: host, ca: edge.authority.pem })
  const answer = readAll(socket)
  socket.write(request)
  return answer
}
const lastOrigin = () => origin.received.at(-1) ?? ""
const v2 = (command: number, family: number, body: string, length = body.length) =>
  Buffer.from(`${signature}${String.fromCharCode(0x20 | command, family, length >> 8, length & 255)}${body}`, "latin1")
const four = "\xc0\0\x02\x07\xc0\0\x02\x02\x13\x88\x01\xbb"

describe("E7: PROXY protocol", () => {
  it.each([["v1"], ["v2"]] as const)("E7: haproxy's send-proxy, %s: the client's own address reaches the origin", async (version) => {
    for (const from of ["127.0.0.3", "127.0.7.7"]) {
      expect(await through(ports[version], from)).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*served$/)
      expect(lastOrigin()).toContain(`X-Forwarded-For: ${from}\r\n`)
      expect(lastOrigin()).toContain(`Forwarded: for=${from};`)
    }
  })

  it.each([["both1"], ["both2"]] as const)("E7: haproxy on both families, which maps IPv4 (%s)", async (port) => {
    for (const from of ["127.0.0.3", "::1"]) {
      expect(await through(ports[port], from)).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*served$/)
      expect(lastOrigin()).toContain(`X-Forwarded-For: ${from}\r\n`)
    }
  })

  it("E7: haproxy in front of port 80, and its health checks (LOCAL), which fail no handshake of a client", async () => {
    const socket = connectTcp(ports.plain, "127.0.0.1")
    const answer = readAll(socket)
    socket.write(request)
    expect(await answer).toMatch(/^HTTP\/1\.1 308 /)
    expect(await straight(v2(0, 0, ""))).toContain("200 OK")
    expect(lastOrigin()).toContain("X-Forwarded-For: 127.0.0.1\r\n")
  })

  it("E7: whole headers in pieces, with TLVs, IPv6 and UNKNOWN", async () => {
    const tlv = `\x03\0\x04\0\0\0\0\x04\0\x10${"n".repeat(16)}`
    expect(await straight(v2(1, 0x11, four + tlv))).toContain("200 OK")
    expect(lastOrigin()).toContain("X-Forwarded-For: 192.0.2.7\r\n")
    expect(await straight("PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\n")).toContain("200 OK")
    expect(lastOrigin()).toContain('Forwarded: for="[2001:db8::7]";')
    expect(await straight("PROXY UNKNOWN\r\n")).toContain("200 OK")
    expect(lastOrigin()).toContain("X-Forwarded-For: 127.0.0.1\r\n")
  })

  it.each<readonly [string, Buffer | string]>([
    ["none at all", ""],
    ["two", "PROXY TCP4 192.0.2.7 192.0.2.2 5000 443\r\nPROXY TCP4 192.0.2.8 192.0.2.2 5000 443\r\n"],
    ["version 2 behind version 1", Buffer.concat([Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.2 5000 443\r\n"), v2(1, 0x11, four)])],
    ["version 1 behind version 2", Buffer.concat([v2(1, 0x11, four), Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.2 5000 443\r\n")])],
    ["a truncated line", "PROXY TCP4 192.0.2.7\r\n"],
    ["a line without end", `PROXY TCP4 ${"1".repeat(200)}`],
    ["a length that is too long", v2(1, 0x11, four, 60_000)],
    ["a length that is too short", v2(1, 0x11, four.slice(0, 6))],
    ["a name for an address", "PROXY TCP4 localhost 192.0.2.2 5000 443\r\n"],
    ["a spoofed field in it", "PROXY TCP4 192.0.2.7\r\nX: 192.0.2.2 5000 443\r\n"],
    ["a command that does not exist", v2(5, 0x11, four)],
    ["version 1 of the binary form", Buffer.concat([Buffer.from(`${signature}\x11\x11\0\x0c${four}`, "latin1")])],
    ["UDP", v2(1, 0x12, four)]
  ])("E7: closed with %s", async (_, header) => {
    const before = origin.received.length
    expect(await straight(header)).toBe("")
    expect(origin.received.length).toBe(before)
  })

  it("E7: from an address that is not trusted: closed, header or not; nothing in it is believed", async () => {
    const before = origin.received.length
    expect(await straight("PROXY TCP4 192.0.2.7 192.0.2.2 5000 443\r\n", "127.0.0.9")).toBe("")
    expect(await straight("", "127.0.0.9")).toBe("")
    expect(origin.received.length).toBe(before)
  })

  it("E7: a listener that is not configured for it takes it for what it is: no TLS, no HTTP", async () => {
    const open = await TestEdge.start()
    await open.add(host, origin.url)
    for (const port of [open.https, open.http]) {
      const socket = connectTcp(port, "127.0.0.1")
      const answer = readAll(socket)
      socket.write(`PROXY TCP4 192.0.2.7 192.0.2.2 5000 443\r\n${request}`)
      expect(await answer).not.toMatch(/HTTP\/1\.1 (200|308)/)
    }
    await open.stop()
  })
})
