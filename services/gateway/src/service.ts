/**
 * The gateway as one layer: the API, the internal listener, and everything they need from the environment.
 *
 * Owns: putting the parts together.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { Effect, Layer } from "effect"
import { apiServer } from "./apiServer.ts"
import { Keys } from "./auth/Keys.ts"
import { ApiCallMeter } from "./billing/ApiCallMeter.ts"
import { Idempotency } from "./http/Idempotency.ts"
import { HeldHostnames } from "./internal/HeldHostnames.ts"
import { internalServer } from "./internal/internalServer.ts"
import { Settings } from "./Settings.ts"

const ready = Effect.gen(function* () {
  const readiness = yield* Readiness
  yield* readiness.register("postgres", (yield* Database).ping)
  yield* readiness.register("nats", (yield* Nats).ping)
})

const parts = Layer.mergeAll(
  Keys.layer,
  Idempotency.layer,
  ApiCallMeter.layer,
  HeldHostnames.layer,
  Outbox.layer("gateway"),
  Readiness.layer
).pipe(Layer.provideMerge(Layer.mergeAll(Settings.layer, Database.layer("gateway"), messaging("gateway"))))

const servers = Layer.effectDiscard(Effect.andThen(ready, Effect.all([internalServer, apiServer])))

export const layer = Layer.provide(servers, parts).pipe(Layer.provide(Telemetry.layer("gateway")))
