/**
 * The lifecycle service: the connection actors, their deadlines, the hostname registry, and rebuilding NATS from Postgres.
 *
 * Needs nothing but the environment. Ready when streams and buckets exist and both servers answer.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { Lease } from "@connect-domain/nats/Lease.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { healthServer } from "@connect-domain/telemetry/healthServer.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Telemetry } from "@connect-domain/telemetry/Telemetry.ts"
import { Effect, Fiber, Layer } from "effect"
import { Applications } from "./Applications.ts"
import { ConnectionActor } from "./ConnectionActor.ts"
import { answerCalls } from "./calls.ts"
import { Edges } from "./Edges.ts"
import { hear } from "./heard.ts"
import { Rebuild } from "./Rebuild.ts"
import { relayRegistry } from "./Registry.ts"
import { tick } from "./Ticker.ts"
import { Wake } from "./Wake.ts"

/** An edge's heartbeat and every lease depend on it. Takes seconds, so it runs beside; failed, the service is not ready. */
const keysExpire = (selfTest: Lease["Service"]["selfTest"]) => Effect.tapError(selfTest, (error) => Effect.logFatal(error.message))

/** Streams and buckets first (`Rebuild`), then whoever uses them; callers are answered last. */
const running = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* relayRegistry
    yield* hear
    yield* answerCalls
    yield* tick
    const readiness = yield* Readiness
    yield* readiness.register("postgres", (yield* Database).ping)
    yield* readiness.register("nats", (yield* Nats).ping)
    const expiry = yield* Effect.forkScoped(keysExpire((yield* Lease).selfTest))
    yield* readiness.register(
      "nats keys expire",
      Effect.suspend(() => (expiry.pollUnsafe() === undefined ? Effect.void : Fiber.join(expiry)))
    )
    yield* Effect.logInfo("lifecycle is ready")
  })
)

export const layer = running.pipe(
  Layer.provide(healthServer("lifecycle")),
  Layer.provide(ConnectionActor.layer),
  Layer.provide([Edges.layer, Rebuild.layer]),
  Layer.provide(Applications.layer),
  Layer.provide(Outbox.layer("lifecycle")),
  Layer.provide(Wake.layer),
  Layer.provide([Database.layer("lifecycle"), messaging("lifecycle"), Readiness.layer]),
  Layer.provide(Telemetry.layer("lifecycle"))
)
