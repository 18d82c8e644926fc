import { randomUUID } from "node:crypto"
import * as messages from "@connect-domain/messages/billing.ts"
import { connectionEvent } from "@connect-domain/messages/events.ts"
import { type CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Result } from "effect"
import { BillingDatabase } from "../test/BillingDatabase.ts"
import { layer as service } from "./service.ts"

/** Two replicas of the service as it is deployed, beside a client. */
class Started extends Context.Service<Started, { readonly config: Layer.Layer<never> }>()("test/Started") {
  static readonly layer = Layer.effect(
    Started,
    Effect.gen(function* () {
      const nats = yield* startNats()
      const { url } = yield* BillingDatabase
      const variables = { DATABASE_URL: url, NATS_URL: nats.url, CD_LOG_LEVEL: "error" }
      return { config: ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)) }
    })
  ).pipe(Layer.provideMerge(BillingDatabase.layer))
}
const running = Layer.unwrap(
  Effect.map(Started, ({ config }) => {
    const provisioned = Layer.effectDiscard(provision).pipe(Layer.provideMerge(messaging("lifecycle")), Layer.provide(config))
    return Layer.mergeAll(Layer.fresh(service), Layer.fresh(service)).pipe(Layer.provide(config), Layer.provideMerge(provisioned))
  })
)
const month = () => new Date().toISOString().slice(0, 7)

layer(running.pipe(Layer.provideMerge(Started.layer)), { excludeTestServices: true })("the billing service", (it) => {
  const usage = (tenant_id: string) =>
    Effect.gen(function* () {
      const { request } = yield* Calls
      const { usage: kinds } = yield* request(messages.readUsage, { tenant_id, period: month() })
      return Object.fromEntries(kinds.map(({ kind, used }) => [kind, used]))
    })

  it.effect("refuses by quota across replicas, tells why, and counts what work and events bring once", () =>
    Effect.gen(function* () {
      const { request } = yield* Calls
      const work = yield* Work
      const tenant_id = randomUUID()
      const ids = Array.from({ length: 50 }, () => randomUUID())
      const results = yield* Effect.forEach(
        ids,
        (connection_id) => Effect.result(request(messages.reserveConnect, { tenant_id, connection_id })),
        { concurrency: "unbounded" }
      )
      const taken = ids.filter((_, index) => Result.isSuccess(results[index]!))
      assert.strictEqual(taken.length, 3)
      const refused = results.find(Result.isFailure)!.failure as CallError
      assert.strictEqual(refused.code, "QuotaExceeded")
      assert.deepInclude(refused.details as object, { kind: "connect", limit: 3, plan: "free" })

      const created_at = new Date().toISOString()
      yield* work.send(messages.commitConnect, { tenant_id, connection_id: taken[0]!, created_at }, { id: randomUUID() })
      const batch = { tenant_id, batch_id: randomUUID(), period: month(), count: 40 }
      const certificate = {
        id: randomUUID(),
        type: "ssl.issued" as const,
        tenant_id,
        application_id: randomUUID(),
        connection_id: taken[0]!,
        environment: "live" as const,
        sequence: 1,
        data: { hostname: "a.example.com" },
        occurred_at: created_at
      }
      for (let n = 0; n < 3; n++) {
        yield* work.send(messages.meterApiCalls, batch, { id: randomUUID() })
        yield* work.send(connectionEvent, certificate, { id: randomUUID() })
      }
      let seen = yield* usage(tenant_id)
      while (seen.api_call === 0 || seen.cert === 0) seen = yield* Effect.andThen(Effect.sleep("20 millis"), usage(tenant_id))
      assert.deepStrictEqual(seen, { connect: 3, active_domain: 0, cert: 1, api_call: 40 })

      const { superuser } = yield* BillingDatabase
      const committed = superuser.query((sql) => sql`select 1 from billing.reservations where connection_id = ${taken[0]!} and committed`)
      while ((yield* committed).length === 0) yield* Effect.sleep("20 millis")
      for (const connection_id of taken) yield* request(messages.releaseConnect, { tenant_id, connection_id })
      assert.strictEqual((yield* usage(tenant_id)).connect, 1)
      assert.strictEqual((yield* usage(randomUUID())).connect, 0)
    })
  )

  it.effect("answers plans and subscriptions, and has no checkout", () =>
    Effect.gen(function* () {
      const { request } = yield* Calls
      const tenant_id = randomUUID()
      const code = <A, R>(call: Effect.Effect<A, CallError, R>) => Effect.map(Effect.flip(call), (error) => error.code)
      assert.deepStrictEqual(
        (yield* request(messages.listPlans, {})).plans.map((plan) => plan.key),
        ["free", "pro", "growth", "enterprise"]
      )
      assert.strictEqual((yield* request(messages.readSubscription, { tenant_id })).plan, "free")
      assert.strictEqual((yield* request(messages.assignPlan, { tenant_id, plan: "enterprise" })).limits.connect, null)
      assert.strictEqual(yield* code(request(messages.subscribe, { tenant_id, plan: "pro" })), "billing_unavailable")
      assert.strictEqual(yield* code(request(messages.subscribe, { tenant_id, plan: "gold" })), "invalid")
      const checkout = { tenant_id, plan: "pro", success_url: null, cancel_url: null }
      assert.strictEqual(yield* code(request(messages.startCheckout, checkout)), "billing_unavailable")
      assert.strictEqual(yield* code(request(messages.readUsage, { tenant_id, period: "2026-13" })), "invalid")
      assert.strictEqual(yield* code(request(messages.readSubscription, { tenant_id: "../x" })), "not_found")
    })
  )
})
