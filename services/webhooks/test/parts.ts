/** The service's parts over a real Postgres, and short words for what tests do with them. */
import { randomUUID } from "node:crypto"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import type { ConnectionEvent } from "@connect-domain/messages/events.ts"
import { ConfigProvider, Effect, Layer } from "effect"
import { Deliveries } from "../src/Deliveries.ts"
import { DeliveryLog } from "../src/DeliveryLog.ts"
import { Dispatcher } from "../src/Dispatcher.ts"
import { Endpoints } from "../src/Endpoints.ts"
import { Secrets } from "../src/Secrets.ts"
import { WebhooksDatabase, webhooksDatabase } from "./WebhooksDatabase.ts"

const environment = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ CD_MODE: "sandbox", CD_NETWORK_ALLOW: "127.0.0.0/8" }))
export const services = Layer.mergeAll(Endpoints.layer, DeliveryLog.layer, Dispatcher.layer).pipe(
  Layer.provideMerge(Layer.mergeAll(Secrets.layer, Deliveries.layer, HttpClient.layer)),
  Layer.provideMerge(webhooksDatabase),
  Layer.provideMerge(WebhooksDatabase.layer),
  Layer.provide(environment)
)

export const event = (tenant_id: string, fields: Partial<ConnectionEvent> = {}): ConnectionEvent => ({
  id: uuidv7(),
  type: "domain.verified",
  tenant_id,
  application_id: randomUUID(),
  connection_id: randomUUID(),
  environment: "test",
  sequence: 1,
  data: { hostname: "shop.example.com" },
  occurred_at: new Date().toISOString(),
  ...fields
})

export const endpoint = (tenant_id: string, url: string, events: ReadonlyArray<string> = []) =>
  Effect.flatMap(Endpoints, (endpoints) => endpoints.create({ id: uuidv7(), tenant_id, application_id: null, url, events }))

/** As the consumer of the events does. */
export const send = (one: ConnectionEvent) =>
  Effect.gen(function* () {
    const dispatcher = yield* Dispatcher
    const owed = yield* (yield* Deliveries).owe(one)
    yield* Effect.forEach(owed, ({ endpoint_id, failing }) => dispatcher.wake(endpoint_id, failing), { discard: true })
    return owed.length
  })

/** The tenant's deliveries once `done` holds of them; fails the test by its time limit. */
export const settled = (tenant: string, done: (rows: ReadonlyArray<{ status: string; attempts: ReadonlyArray<unknown> }>) => boolean) =>
  Effect.gen(function* () {
    const log = yield* DeliveryLog
    while (true) {
      const { data } = yield* log.list(tenant, { endpoint_id: null, event_id: null, status: null, after: null, limit: 100 })
      if (done(data)) return data
      yield* Effect.sleep("20 millis")
    }
  })
export const tried = (rows: ReadonlyArray<{ attempts: ReadonlyArray<unknown> }>) =>
  rows.length > 0 && rows.every((row) => row.attempts.length > 0)
