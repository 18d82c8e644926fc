/**
 * The webhooks service as one layer.
 *
 * Owns: what it is made of. Needs nothing but the process's environment; fails to build for wrong configuration.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { connectionEvent } from "@connect-domain/messages/events.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { healthServer } from "@connect-domain/telemetry/healthServer.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { Effect, Layer } from "effect"
import { serveCalls } from "./calls.ts"
import { Deliveries } from "./Deliveries.ts"
import { DeliveryLog } from "./DeliveryLog.ts"
import { Dispatcher } from "./Dispatcher.ts"
import { Endpoints } from "./Endpoints.ts"
import { housekeeping } from "./housekeeping.ts"
import { readiness } from "./readiness.ts"
import { reconcile } from "./reconcile.ts"
import { Secrets } from "./Secrets.ts"

/** Each event becomes rows, and their endpoints' workers start at once. */
const followEvents = Effect.gen(function* () {
  const work = yield* Work
  const deliveries = yield* Deliveries
  const dispatcher = yield* Dispatcher
  const owe = handle(connectionEvent, (event) =>
    Effect.flatMap(deliveries.owe(event), (owed) =>
      Effect.forEach(owed, ({ endpoint_id, failing }) => dispatcher.wake(endpoint_id, failing), { discard: true })
    )
  )
  yield* work.consume("webhooks_events", [owe], { concurrency: 16 })
})

const stores = Layer.mergeAll(Endpoints.layer, DeliveryLog.layer, Dispatcher.layer).pipe(
  Layer.provideMerge(Layer.mergeAll(Secrets.layer, Deliveries.layer, HttpClient.layer))
)

const running = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* serveCalls
    yield* followEvents
    yield* Effect.forkScoped(reconcile)
    yield* Effect.forkScoped(housekeeping)
  })
).pipe(Layer.provide(stores))

export const layer = Layer.mergeAll(running, readiness, healthServer("webhooks")).pipe(
  Layer.provide(Readiness.layer),
  Layer.provide(Layer.mergeAll(Database.layer("webhooks"), messaging("webhooks"))),
  Layer.provide(Telemetry.layer("webhooks"))
)
