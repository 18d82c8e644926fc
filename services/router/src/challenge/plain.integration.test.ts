/** E8, A14: port 80 under its limits: redirects have a rate, connections a number, and a CA that asks for a pending token is always answered. */
import { connect as connectTcp } from "node:net"
import { parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openGate } from "../limits/Gate.ts"
import type { RouterOptions } from "../Router.ts"
import { ok, RawOrigin } from "../testing/RawOrigin.ts"
import { readAll, readUntil, sendRaw, TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
const token = "AbCdEfGhIjKlMnOpQrStUv"
const authorization = `${token}.thumbprint`
const challenge = `/.well-known/acme-challenge/${token}`
let origin: RawOrigin

beforeAll(async () => {
  origin = await RawOrigin.answering(ok("served"))
})
afterAll(() => origin.stop())

const start = async (options: Partial<RouterOptions>): Promise<TestEdge> => {
  const edge = await TestEdge.start(options)
  await edge.add(host, origin.url)
  edge.registry.putChallenge({ token, hostname: host, key_authorization: authorization }, 1)
  return edge
}
/** One request on a connection of its own; `from`: the client, in a PROXY header. */
const ask = async (edge: TestEdge, path: string, from?: string): Promise<string> => {
  const socket = connectTcp(edge.http, "127.0.0.1")
  const answer = readAll(socket)
  if (from !== undefined) socket.write(`PROXY TCP4 ${from} 192.0.2.200 5000 80\r\n`)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  return answer
}
/** A connection that was redirected once and is kept since. */
const kept = async (edge: TestEdge, from?: string): Promise<{ readonly gone: () => boolean }> => {
  const socket = connectTcp(edge.http, "127.0.0.1").on("error", () => {})
  let closed = false
  void readAll(socket).then(() => {
    closed = true
  })
  if (from !== undefined) socket.write(`PROXY TCP4 ${from} 192.0.2.200 5000 80\r\n`)
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  await readUntil(socket, (text) => text.startsWith("HTTP/1.1 308 ") && text.includes("\r\n\r\nhttps://"))
  return { gone: () => closed }
}
const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe("E8, A14: port 80", () => {
  it("redirects one client so often a second, on an account of its own, and answers a pending token all the same", async () => {
    const edge = await start({ gate: { ...openGate, clientRequests: { perSecond: 0.001, burst: 2 } } })
    const seen: Array<string> = []
    for (const path of ["/", "/a", "/b", `${challenge}x`, challenge, challenge]) seen.push(await ask(edge, path))
    expect(seen.map((answer) => answer.slice(9, 12))).toEqual(["308", "308", "429", "429", "200", "200"])
    expect(seen[2]).toMatch(/\r\nRetry-After: 1000\r\n/)
    expect(seen[5]!.endsWith(authorization)).toBe(true)
    const served = await sendRaw(edge, host, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    expect(served).toMatch(/^HTTP\/1\.1 200 /)
    expect(edge.router.gate.refusals.get("plain-client-rate")).toBe(2)
    await edge.stop()
  })

  it("has so many connections of one client, the newest, and the TLS port does not count them", async () => {
    const edge = await start({ perClient: 2 })
    const open = [await kept(edge), await kept(edge), await kept(edge)]
    await until(() => open[0]!.gone())
    expect(open.map(({ gone }) => gone())).toEqual([true, false, false])
    expect(await ask(edge, challenge)).toMatch(/^HTTP\/1\.1 200 /)
    await until(() => open[1]!.gone())
    expect(edge.router.gate.refusals.get("plain-connections")).toBe(2)
    const tls = [await edge.connect(host), await edge.connect(host)]
    await expect(edge.connect(host)).rejects.toThrow()
    expect(edge.router.gate.refusals.get("client-connections")).toBe(1)
    for (const socket of tls) socket.destroy()
    await edge.stop()
  })

  it("has so many of all clients, and a flood of them keeps no CA out", async () => {
    const edge = await start({ maxConnections: 10, trustedProxies: [parseNetwork("127.0.0.1/32")!] })
    const open: Array<{ readonly gone: () => boolean }> = []
    for (let client = 0; client < 30; client++) {
      open.push(await kept(edge, `192.0.2.${client}`))
      if (client % 5 === 0) expect(await ask(edge, challenge, "198.51.100.1")).toMatch(/^HTTP\/1\.1 200 /)
    }
    await until(() => open.filter(({ gone }) => !gone()).length <= 10)
    expect(open.at(-1)!.gone()).toBe(false)
    await edge.stop()
  })
})
