/**
 * The billing service as one layer.
 *
 * Owns: what it is made of. Needs nothing but the process's environment; fails to build for wrong configuration.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { healthServer } from "@connect-domain/telemetry/healthServer.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { Effect, Layer } from "effect"
import { BillingProvider } from "./BillingProvider.ts"
import { serveCalls } from "./calls.ts"
import { reconcile } from "./certificateUsage.ts"
import { Ledger } from "./Ledger.ts"
import { Plans } from "./Plans.ts"
import { Quota } from "./Quota.ts"
import { readiness } from "./readiness.ts"
import { Subscriptions } from "./Subscriptions.ts"
import { sweepForever } from "./sweep.ts"
import { sweepTraffic, Traffic } from "./Traffic.ts"
import { serveTraffic } from "./trafficCalls.ts"
import { consumeWork } from "./work.ts"

const stores = Layer.mergeAll(Quota.layer, Ledger.layer, Subscriptions.layer, Traffic.layer).pipe(
  Layer.provideMerge(Layer.mergeAll(Plans.layer, BillingProvider.layerNone))
)

const running = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* serveCalls
    yield* serveTraffic
    yield* consumeWork
    yield* Effect.forkScoped(sweepForever)
    yield* Effect.forkScoped(reconcile)
    yield* Effect.forkScoped(sweepTraffic)
  })
).pipe(Layer.provide(stores))

export const layer = Layer.mergeAll(running, readiness, healthServer("billing")).pipe(
  Layer.provide(Readiness.layer),
  Layer.provide(Layer.mergeAll(Database.layer("billing"), messaging("billing"))),
  Layer.provide(Telemetry.layer("billing"))
)
