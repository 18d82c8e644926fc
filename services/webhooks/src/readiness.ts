/** When the webhooks service is ready: database and NATS answer. */
import { Database } from "@connect-domain/database/Database.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Effect, Layer } from "effect"

export const readiness = Layer.effectDiscard(
  Effect.gen(function* () {
    const checks = yield* Readiness
    yield* checks.register("database", (yield* Database).ping)
    yield* checks.register("nats", (yield* Nats).ping)
  })
)
