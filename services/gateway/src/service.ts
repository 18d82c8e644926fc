/**
 * The gateway as one layer: the API, the internal listener, and everything they need from the environment.
 *
 * Owns: putting the parts together and refusing to start half: every wrong setting is named, then nothing runs.
 */
import { Database, DatabaseUrl } from "@connect-domain/database/Database.ts"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { Nats, NatsUrl } from "@connect-domain/nats/Nats.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { type Config, Data, Effect, Layer, Result } from "effect"
import { apiAddress, apiServer } from "./apiServer.ts"
import { Keys } from "./auth/Keys.ts"
import { ApiCallMeter } from "./billing/ApiCallMeter.ts"
import { Idempotency } from "./http/Idempotency.ts"
import { RateLimit } from "./http/RateLimit.ts"
import { HeldHostnames } from "./internal/HeldHostnames.ts"
import { internalAddress, internalServer } from "./internal/internalServer.ts"
import { readEdge, readEdgeAddresses, Settings } from "./Settings.ts"

/** The settings are wrong; `message` has a line for each. */
export class WrongSettings extends Data.TaggedError("WrongSettings")<{ readonly message: string }> {}

const settings: ReadonlyArray<Effect.Effect<unknown, Config.ConfigError>> = [
  Mode,
  DatabaseUrl,
  NatsUrl,
  readEdge,
  readEdgeAddresses,
  keyRing("CREDENTIAL_ENC_KEY"),
  keyRing("CD_TOKEN_KEY"),
  addressPolicy,
  RateLimit,
  apiAddress,
  internalAddress
]

const checkSettings = Effect.flatMap(Effect.forEach(settings, Effect.result), (results) => {
  const lines = results.flatMap((result) => (Result.isFailure(result) ? [result.failure.message] : []))
  return lines.length === 0 ? Effect.void : Effect.fail(new WrongSettings({ message: [...new Set(lines)].join("\n") }))
})

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

export const layer = Layer.unwrap(Effect.as(checkSettings, Layer.provide(servers, parts))).pipe(Layer.provide(Telemetry.layer("gateway")))
