import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Webhook } from "standardwebhooks"
import { endpoint, event, send, services } from "../test/parts.ts"
import { startReceiver } from "../test/Receiver.ts"
import { WebhooksDatabase } from "../test/WebhooksDatabase.ts"
import { Endpoints } from "./Endpoints.ts"
import { signConnectDomain } from "./Signature.ts"

layer(services, { excludeTestServices: true })("signing secrets", (it) => {
  it.effect("rotates: both secrets sign, a third is refused, revoke ends the old one at once", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const endpoints = yield* Endpoints
      const receiver = yield* startReceiver()
      const made = yield* endpoint(tenant, receiver.url)
      const headersOf = (count: number) => Effect.map(receiver.until(count), (all) => all[count - 1]!)
      const next = (yield* endpoints.rotate(tenant, made.id, false)).signing_secret
      assert.notStrictEqual(next, made.signing_secret)
      yield* send(event(tenant))
      const during = yield* headersOf(1)
      const at = Number(during.headers["x-cd-timestamp"])
      assert.strictEqual(during.headers["x-cd-signature"], signConnectDomain(made.signing_secret, at, during.body))
      assert.strictEqual(during.headers["x-cd-signature-next"], signConnectDomain(next, at, during.body))
      for (const secret of [made.signing_secret, next]) new Webhook(secret).verify(during.body, during.headers as Record<string, string>)
      assert.strictEqual((yield* Effect.flip(endpoints.rotate(tenant, made.id, false)))._tag, "RotationInProgress")

      assert.strictEqual((yield* endpoints.rotate(tenant, made.id, true)).signing_secret, next)
      yield* send(event(tenant))
      const after = yield* headersOf(2)
      assert.throws(() => new Webhook(made.signing_secret).verify(after.body, after.headers as Record<string, string>))
      new Webhook(next).verify(after.body, after.headers as Record<string, string>)
      assert.isUndefined(after.headers["x-cd-signature-next"])

      const last = (yield* endpoints.rotate(tenant, made.id, true)).signing_secret
      assert.notStrictEqual(last, next)
      assert.strictEqual((yield* Effect.flip(endpoints.rotate(randomUUID(), made.id, false)))._tag, "EndpointNotFound")
    })
  )

  it.effect("ends an overlap by time, and stores no secret in the clear", () =>
    Effect.gen(function* () {
      const tenant = randomUUID()
      const endpoints = yield* Endpoints
      const { superuser } = yield* WebhooksDatabase
      const receiver = yield* startReceiver()
      const made = yield* endpoint(tenant, receiver.url)
      const next = (yield* endpoints.rotate(tenant, made.id, false)).signing_secret
      yield* superuser.query(
        (sql) => sql`update webhooks.secrets set expires_at = now() where endpoint_id = ${made.id} and expires_at is not null`
      )
      yield* send(event(tenant))
      const [one] = yield* receiver.until(1)
      new Webhook(next).verify(one!.body, one!.headers as Record<string, string>)
      assert.isUndefined(one!.headers["x-cd-signature-next"])
      const rows = yield* superuser.query((sql) => sql`select * from webhooks.secrets, webhooks.endpoints`)
      for (const secret of [made.signing_secret, next]) assert.notInclude(JSON.stringify(rows), secret.slice(6))
    })
  )
})
