/**
 * The services that the gateway asks, played on a real NATS with the real call definitions: small, in memory, and failing on request.
 *
 * Owns: starting them, each as the NATS user that it plays. Leaves to the file of each service what it answers, to `switched.ts` the state
 * that tests see.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { type Context, Effect, Layer, type Scope } from "effect"
import { serveBilling } from "./billingStandIn.ts"
import { serveConnector } from "./connectorStandIn.ts"
import { serveLifecycle } from "./lifecycleStandIn.ts"
import type { StandIns } from "./switched.ts"
import { serveWebhooks } from "./webhooksStandIn.ts"

export const makeStandIns = (config: Layer.Layer<never>, root: Context.Context<Database>): Effect.Effect<StandIns, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const state: StandIns = { refuse: new Map(), reserved: new Set(), created: new Map(), createCalls: [], hold: undefined }
    const database = yield* Effect.provide(Database, root)
    const services = [
      ["lifecycle", serveLifecycle(state, database)],
      ["billing", serveBilling(state)],
      ["connector", serveConnector(state)],
      ["webhooks", serveWebhooks(state)]
    ] as const
    for (const [name, serve] of services) {
      const context = yield* Layer.build(messaging(name).pipe(Layer.provide(config)))
      yield* Effect.provide(serve, context)
    }
    return state
  })
