/** What the audit log says of imported certificates; a certifier is played on a real NATS. */
import { randomBytes } from "node:crypto"
import { importCertificate, importKey, withdrawCertificate } from "@connect-domain/messages/certifier.ts"
import { noCertificate } from "@connect-domain/messages/connection.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { parseKeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeOpener } from "@connect-domain/secrets/PublicSeal.ts"
import { ConfigProvider, Effect, Exit, Layer, Result, Scope } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type GatewayUnderTest, startGateway } from "../testing/GatewayUnderTest.ts"

let gateway: GatewayUnderTest
const scope = Effect.runSync(Scope.make())
const served = { ...noCertificate, status: "issued" as const, serial: "0a", issuer_origin: "imported" as const }
let refusal: CallError | undefined

const answer = () => (refusal === undefined ? Effect.succeed({ certificate: served }) : Effect.fail(refusal))
const serveCertifier = Effect.gen(function* () {
  const calls = yield* Calls
  const ring = Result.getOrThrow(parseKeyRing(`k1:${randomBytes(32).toString("base64")}`))
  yield* calls.serve(importKey, () => Effect.succeed(makeOpener(ring).publicHalf))
  yield* calls.serve(importCertificate, answer)
  yield* calls.serve(withdrawCertificate, answer)
})

beforeAll(async () => {
  gateway = await startGateway()
  const config = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...gateway.env }))
  const certifier = Layer.build(Layer.provide(Layer.effectDiscard(serveCertifier).pipe(Layer.provide(messaging("certifier"))), config))
  await Effect.runPromise(Scope.provide(certifier, scope))
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await gateway.stop()
})

interface Row {
  readonly actor: string
  readonly key_id: string | null
  readonly request_id: string | null
  readonly action: string
  readonly before: unknown
  readonly after: unknown
}

const rowsOf = (id: string) =>
  gateway.sql<Row>(
    (sql) => sql`select actor, key_id, request_id, action, before, after from gateway.audit where object_id = ${id} order by position`
  )

const claimed = async (hostname: string): Promise<string> => {
  const { body } = await gateway.call("POST", "/v1/connections", { body: { application_id: gateway.mine.application_id, hostname } })
  await gateway.sql((sql) => sql`update lifecycle.connections set claimed_hostname = hostname where id = ${body.id}`)
  return body.id
}

it("P10: an imported certificate, and taking it back, are in the audit log: who, before and after, no key", async () => {
  const id = await claimed("mine.customer.test")
  const path = `/v1/connections/${id}/certificate`
  const upload = { certificate: "-----PUBLIC PART-----", private_key: "-----SECRET PART-----" }
  expect((await gateway.call("PUT", path, { body: upload })).status).toBe(200)
  expect((await gateway.call("DELETE", path)).status).toBe(200)
  const rows = await rowsOf(id)
  expect(rows.map(({ action, before, after }) => ({ action, before, after }))).toEqual([
    { action: "import_certificate", before: { certificate: noCertificate }, after: null },
    { action: "import_certificate_done", before: null, after: { certificate: served } },
    { action: "withdraw_certificate", before: { certificate: noCertificate }, after: null },
    { action: "withdraw_certificate_done", before: null, after: { certificate: served } }
  ])
  expect(new Set(rows.map(({ actor }) => actor))).toEqual(new Set(["key"]))
  expect(rows.every(({ key_id, request_id }) => key_id !== null && request_id !== null)).toBe(true)
  expect(new Set(rows.map(({ request_id }) => request_id)).size).toBe(2)
  expect(JSON.stringify(rows)).not.toContain("SECRET")
})

it("P10: a refusal is in the log as one; what never reached the certifier is not there", async () => {
  const id = await claimed("refused.customer.test")
  const upload = { certificate: "c", private_key: "k" }
  refusal = new CallError({ code: "invalid", message: "no", details: [{ field: "certificate", message: "no" }] })
  expect((await gateway.call("PUT", `/v1/connections/${id}/certificate`, { body: upload })).status).toBe(400)
  refusal = undefined
  expect((await rowsOf(id)).map(({ action, after }) => [action, after])).toEqual([
    ["import_certificate", null],
    ["import_certificate_failed", { error: "invalid" }]
  ])
  const { body } = await gateway.call("POST", "/v1/connections", {
    body: { application_id: gateway.mine.application_id, hostname: "unproven.customer.test" }
  })
  const refused = await gateway.call("PUT", `/v1/connections/${body.id}/certificate`, { body: upload })
  expect(refused.body.error.code).toBe("ownership_not_found")
  expect(await rowsOf(body.id)).toEqual([])
})
