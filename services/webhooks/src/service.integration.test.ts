import { randomUUID } from "node:crypto"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { connectionEvent } from "@connect-domain/messages/events.ts"
import * as messages from "@connect-domain/messages/webhooks.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import { Webhook } from "standardwebhooks"
import { startReceiver } from "../test/Receiver.ts"
import { WebhooksDatabase } from "../test/WebhooksDatabase.ts"
import { layer as service } from "./service.ts"

/** The service as it is deployed, beside a client with the gateway's connection. */
class Started extends Context.Service<Started, { readonly config: Layer.Layer<never> }>()("test/Started") {
  static readonly layer = Layer.effect(
    Started,
    Effect.gen(function* () {
      const nats = yield* startNats()
      const { url } = yield* WebhooksDatabase
      return {
        config: ConfigProvider.layer(
          ConfigProvider.fromEnvRecord({
            DATABASE_URL: url,
            NATS_URL: nats.url,
            CD_MODE: "sandbox",
            CD_NETWORK_ALLOW: "127.0.0.0/8",
            CD_LOG_LEVEL: "error"
          })
        )
      }
    })
  ).pipe(Layer.provideMerge(WebhooksDatabase.layer))
}
const running = Layer.unwrap(
  Effect.map(Started, ({ config }) => {
    const provisioned = Layer.effectDiscard(provision).pipe(Layer.provideMerge(messaging("lifecycle")), Layer.provide(config))
    return Layer.fresh(service).pipe(Layer.provide(config), Layer.provideMerge(provisioned))
  })
)

layer(running.pipe(Layer.provideMerge(Started.layer)), { excludeTestServices: true })("the webhooks service", (it) => {
  it.effect("answers every call, and delivers what the event stream brings", () =>
    Effect.gen(function* () {
      const { request } = yield* Calls
      const work = yield* Work
      const receiver = yield* startReceiver()
      const tenant_id = randomUUID()
      const endpoint_id = uuidv7()
      const owner = { tenant_id, endpoint_id }
      const made = yield* request(messages.createEndpoint, { ...owner, application_id: null, url: receiver.url, events: [] })
      const again = yield* request(messages.createEndpoint, { ...owner, application_id: null, url: receiver.url, events: [] })
      assert.deepStrictEqual(again, made)
      assert.match(made.signing_secret, /^whsec_[A-Za-z0-9+/]{43}=$/)

      const id = uuidv7()
      const event = {
        id,
        type: "domain.flow.completed" as const,
        tenant_id,
        application_id: randomUUID(),
        connection_id: randomUUID(),
        environment: "live" as const,
        sequence: 3,
        data: { hostname: "shop.example.com" },
        occurred_at: new Date().toISOString()
      }
      yield* work.send(connectionEvent, event, { id })
      const [received] = yield* receiver.until(1)
      new Webhook(made.signing_secret).verify(received!.body, received!.headers as Record<string, string>)

      const test = yield* request(messages.testEndpoint, owner)
      assert.strictEqual(test.status, "delivered")
      const filter = { tenant_id, after: null, limit: 10, endpoint_id: null, event_id: id, status: null }
      const [delivery] = (yield* request(messages.listDeliveries, filter)).data
      assert.strictEqual((yield* request(messages.replayDelivery, { tenant_id, delivery_id: delivery!.id })).event_id, id)
      yield* receiver.until(3)

      assert.strictEqual((yield* request(messages.updateEndpoint, { ...owner, events: ["ssl.issued"] })).events[0], "ssl.issued")
      assert.strictEqual((yield* request(messages.listEndpoints, { tenant_id, after: null, limit: 1 })).data.length, 1)
      yield* request(messages.rotateSecret, { ...owner, revoke: false })
      const code = <A, R>(call: Effect.Effect<A, { readonly code: string }, R>) => Effect.map(Effect.flip(call), (error) => error.code)
      assert.strictEqual(yield* code(request(messages.rotateSecret, { ...owner, revoke: false })), "rotation_in_progress")
      assert.strictEqual(yield* code(request(messages.readEndpoint, { ...owner, tenant_id: randomUUID() })), "not_found")
      assert.strictEqual(yield* code(request(messages.readEndpoint, { ...owner, endpoint_id: "x" })), "not_found")
      assert.strictEqual(yield* code(request(messages.updateEndpoint, { ...owner, url: "ftp://x" })), "invalid")
      yield* request(messages.deleteEndpoint, owner)
      yield* request(messages.deleteEndpoint, owner)
      assert.strictEqual(yield* code(request(messages.readEndpoint, owner)), "not_found")
    })
  )
})
