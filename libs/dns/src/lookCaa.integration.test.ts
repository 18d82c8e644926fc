/** CAA looks at the one server of an override, which knows the customer's zone and refuses everything above it. */
import { createSocket, type Socket } from "node:dgram"
import { decode, encode } from "dns-packet"
import { ConfigProvider, Effect, Layer } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { lookCaa } from "./lookCaa.ts"
import { Resolver } from "./Resolver.ts"

const soa = {
  type: "SOA",
  name: "acme.test",
  ttl: 5,
  data: { mname: "ns1.acme.test", rname: "h.acme.test", serial: 1, minimum: 5 }
} as const
const rcode = { refused: 5, servfail: 2 }
let socket: Socket
let broken = false

beforeAll(async () => {
  socket = createSocket("udp4").on("message", (bytes, from) => {
    const query = decode(bytes)
    const name = query.questions?.[0]?.name.toLowerCase() ?? ""
    const held = name === "acme.test" || name.endsWith(".acme.test")
    const answer = { type: "response", id: query.id, questions: query.questions } as const
    const code = broken ? rcode.servfail : rcode.refused
    const reply = held && !broken ? encode({ ...answer, flags: 1024, authorities: [soa] }) : encode({ ...answer, flags: code })
    socket.send(reply, from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
})
afterAll(() => new Promise<void>((resolve) => socket.close(() => resolve())))

const look = (hostname: string) => {
  const env = { CD_MODE: "sandbox", CD_DNS_AUTHORITY_OVERRIDE: `127.0.0.1:${socket.address().port}`, CD_NETWORK_ALLOW: "127.0.0.0/8" }
  const layer = Resolver.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
  return Effect.runPromise(Effect.provide(lookCaa(hostname), layer))
}

it("finds no records where the server holds no zone", async () => {
  expect(await look("shop.acme.test")).toEqual({ verdict: "none" })
})

it("takes a failure for a failure", async () => {
  broken = true
  expect(await look("shop.acme.test")).toMatchObject({ verdict: "unknown" })
})
