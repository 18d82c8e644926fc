import { registryKey } from "@connect-domain/domain/Hostname.ts"
import { hostnames, metaKey } from "@connect-domain/messages/buckets.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { ConfigProvider, Effect, Layer } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { eventually } from "./testing/eventually.ts"
import { type GatewayUnderTest, startGateway } from "./testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
beforeAll(async () => {
  gateway = await startGateway({ CD_RATE_LIMIT: "600" })
})
afterAll(() => gateway?.stop())

const ask = async (domain: string) => {
  const response = await fetch(`${gateway.internal}/internal/ask?domain=${domain}`)
  return `${response.status} ${await response.text()}`
}
const get = (path: string) =>
  fetch(`${gateway.internal}${path}`).then(async (response) => [response.status, await response.text()] as const)

it("ask follows the registry: held, released, wildcard, any spelling, never unknown paths", async () => {
  const entry = (hostname: string, status: "held" | "released", version: number) => ({
    hostname,
    status,
    connection_id: "c",
    tenant_id: "t",
    application_id: "a",
    claim_id: "c",
    environment: "test" as const,
    origin: null,
    certificate_id: null,
    flags: {},
    version
  })
  const layer = messaging("lifecycle").pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(gateway.env))))
  const put = (hostname: string, status: "held" | "released", version: number) =>
    Effect.runPromise(
      Effect.provide(
        Effect.flatMap(Kv, (kv) => kv.bucket(hostnames).put(registryKey(hostname), entry(hostname, status, version))),
        layer,
        { local: true }
      )
    )
  await put("held.acme.test", "held", 1)
  await put("*.wild.test", "held", 2)
  await eventually(async () => expect(await ask("held.acme.test")).toBe('200 {"allow":true}'))
  await eventually(async () => expect(await ask("x.wild.test")).toBe('200 {"allow":true}'))
  expect(await ask("HELD.Acme.test.")).toBe('200 {"allow":true}')
  for (const other of ["other.acme.test", "acme.test", "x.y.wild.test", "wild.test", "", "%00", "held.acme.test%2Fx"]) {
    expect([other, await ask(other)]).toEqual([other, '403 {"allow":false}'])
  }
  await put("held.acme.test", "released", 3)
  await eventually(async () => expect(await ask("held.acme.test")).toBe('403 {"allow":false}'))
  expect(metaKey).toBe("_meta")
  expect((await get("/v1/connections"))[0]).toBe(404)
})

it("health, readiness and metrics", async () => {
  expect((await get("/healthz"))[0]).toBe(200)
  expect((await get("/readyz"))[0]).toBe(200)
  await gateway.call("GET", "/v1/plans")
  const [status, text] = await get("/metrics")
  expect(status).toBe(200)
  expect(text).toMatch(/http_requests_total\{[^}]*route="listPlans"[^}]*\} \d+/)
})

it("rate limit: exact Retry-After, per key", async () => {
  const answers = await Promise.all(Array.from({ length: 160 }, () => gateway.call("GET", "/v1/plans")))
  const refused = answers.filter((answer) => answer.status === 429)
  expect(refused.length).toBeGreaterThan(0)
  expect(refused[0]!.body.error).toMatchObject({ code: "rate_limited", details: { limit: 600 } })
  expect(Number(refused[0]!.headers.get("retry-after"))).toBeGreaterThan(0)
  expect((await gateway.call("GET", "/v1/plans", { key: gateway.other.api_key })).status).toBe(200)
  await gateway.sql((sql) => sql`delete from gateway.rate_limits`)
})

it("a service that does not answer: 503 within its time; internal errors say nothing", async () => {
  const body = { application_id: gateway.mine.application_id, hostname: "out.acme.test" }
  gateway.standIns.refuse.set("cd.call.v1.lifecycle.create", new CallError({ code: "internal", message: "select secret from x" }))
  const broken = await gateway.call("POST", "/v1/connections", { body })
  expect([broken.status, broken.body.error.message]).toEqual([500, "internal error"])
  gateway.standIns.refuse.clear()
  expect((await gateway.call("POST", "/v1/connections", { body })).status).toBe(201)
})

it("Postgres down: writes and reads get 503, health answers, and all is well when it is back", async () => {
  const body = { application_id: gateway.mine.application_id, hostname: "down.acme.test" }
  await Effect.runPromise(gateway.postgres.stop("SIGKILL"))
  const answers = await Promise.all([
    gateway.call("POST", "/v1/connections", { body }),
    gateway.call("POST", "/v1/applications", { body: { name: "x" }, headers: { "idempotency-key": "down" } }),
    gateway.call("GET", "/v1/connections")
  ])
  for (const answer of answers) expect([answer.status, answer.body.error.code]).toEqual([503, "unavailable"])
  expect((await get("/healthz"))[0]).toBe(200)
  expect((await get("/readyz"))[0]).toBe(503)
  expect(await ask("x.wild.test")).toBe('200 {"allow":true}')
  await Effect.runPromise(gateway.postgres.start)
  await eventually(async () => expect((await gateway.call("POST", "/v1/connections", { body })).status).toBe(201))
})

it("NATS down: calls get 503, what needs Postgres alone goes on, ask answers from memory", async () => {
  await Effect.runPromise(gateway.nats.stop("SIGKILL"))
  const create = await gateway.call("POST", "/v1/connections", {
    body: { application_id: gateway.mine.application_id, hostname: "n.acme.test" }
  })
  expect([create.status, create.body.error.code]).toEqual([503, "unavailable"])
  expect((await gateway.call("GET", "/v1/applications")).status).toBe(200)
  expect(await ask("x.wild.test")).toBe('200 {"allow":true}')
  await Effect.runPromise(gateway.nats.start)
})
