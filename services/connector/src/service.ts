/**
 * The connector as one layer: the observer, the zones' actors, answers to DNS challenges, and the questions about providers
 * and domains.
 *
 * Owns: the wiring. `main.ts` runs it alone; the all-in-one process runs it beside the others. It has no database.
 */
import { Resolver } from "@connect-domain/dns/Resolver.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { healthServer } from "@connect-domain/telemetry/healthServer.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { Effect, Layer } from "effect"
import { AcmeZone } from "./AcmeZone.ts"
import { zoneOrders } from "./applyChanges.ts"
import { Credentials } from "./Credentials.ts"
import { challengeCalls } from "./challengeCalls.ts"
import { domainCheck } from "./domainCheck.ts"
import { observer } from "./observe.ts"
import { providerCalls } from "./providerCalls.ts"
import { ZoneWriter } from "./ZoneWriter.ts"

const readiness = Layer.effectDiscard(
  Effect.gen(function* () {
    const checks = yield* Readiness
    const nats = yield* Nats
    yield* checks.register("nats", nats.ping)
  })
)

const parts = Layer.mergeAll(ZoneWriter.layer, AcmeZone.layer).pipe(
  Layer.provideMerge(Credentials.layer),
  Layer.provideMerge(Layer.mergeAll(Resolver.layer, HttpClient.layer))
)

/** Without infrastructure: for tests that bring their own. */
export const connector = Layer.mergeAll(observer, zoneOrders, providerCalls, domainCheck, challengeCalls).pipe(Layer.provide(parts))

export const layer = Layer.mergeAll(connector, readiness, healthServer("connector")).pipe(
  Layer.provide(Readiness.layer),
  Layer.provide(messaging("connector")),
  Layer.provide(Telemetry.layer("connector"))
)
