/** When the certifier is ready: database and NATS answer, and certificates of a vanished test CA have been replaced. */
import { Database } from "@connect-domain/database/Database.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { Effect, Layer } from "effect"
import { VanishedIssuers } from "./VanishedIssuers.ts"

export const readiness = Layer.effectDiscard(
  Effect.gen(function* () {
    const [checks, database, nats, vanished] = [yield* Readiness, yield* Database, yield* Nats, yield* VanishedIssuers]
    yield* checks.register("database", database.ping)
    yield* checks.register("nats", nats.ping)
    yield* checks.register(
      "issuers",
      Effect.flatMap(vanished.settled, (settled) =>
        settled ? Effect.void : Effect.fail(new Error("certificates of a vanished test CA are being replaced"))
      )
    )
  })
)
