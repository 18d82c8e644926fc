/** E11: origins over TLS are verified by name, and connections are shared under one policy and tenant only. */
import { createServer, type Server } from "node:https"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeAuthority, sendRaw, TestEdge } from "../testing/TestEdge.ts"

let edge: TestEdge
const servers: Array<Server> = []
let connections = 0

const startOrigin = async (names: ReadonlyArray<string>, authority: Awaited<ReturnType<typeof makeAuthority>>): Promise<number> => {
  const { chain, key } = await authority.issue(names)
  const server = createServer({ cert: chain, key }, (request, response) => void response.end(`for ${request.headers.host}`))
  server.on("secureConnection", () => connections++)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

const get = (host: string) => sendRaw(edge, host, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)

beforeAll(async () => {
  const trusted = await makeAuthority()
  edge = await TestEdge.start({ originCa: [trusted.pem] })
  const right = await startOrigin(["localhost"], trusted)
  const wrong = await startOrigin(["other.example.org"], trusted)
  const foreign = await startOrigin(["localhost"], await makeAuthority())
  await edge.add("right.example.org", `https://localhost:${right}`)
  await edge.add("right2.example.org", `https://localhost:${right}`)
  await edge.add("tenant2.example.org", `https://localhost:${right}`, { tenant_id: "tenant-2" })
  await edge.add("wrong.example.org", `https://localhost:${wrong}`)
  await edge.add("foreign.example.org", `https://localhost:${foreign}`)
  await edge.add("rewrite.example.org", `https://localhost:${right}`, { flags: { host_header: "origin" } })
})

afterAll(async () => {
  await edge.stop()
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

describe("E11: https origins", () => {
  it("reaches an origin whose certificate is for its name", async () => {
    expect(await get("right.example.org")).toMatch(/^HTTP\/1\.1 200 [\s\S]*for right\.example\.org/)
    expect(await get("rewrite.example.org")).toMatch(/for localhost:[0-9]+/)
  })

  it("answers 502 for a certificate of another name, and for one of an unknown CA", async () => {
    expect(await get("wrong.example.org")).toMatch(/^HTTP\/1\.1 502 /)
    expect(await get("foreign.example.org")).toMatch(/^HTTP\/1\.1 502 /)
  })

  it("E4: shares connections within a tenant, never between two", async () => {
    await get("right.example.org")
    connections = 0
    await get("right2.example.org")
    expect(connections).toBe(0)
    await get("tenant2.example.org")
    expect(connections).toBe(1)
  })
})
