/**
 * Billing, played for the gateway's tests: reservations are kept, everything else is answered with one plan and one point of traffic.
 *
 * Owns: answers that are right in form. Leaves to the test: refusals, through the switch `refuse`.
 */
import * as billing from "@connect-domain/messages/billing.ts"
import * as traffic from "@connect-domain/messages/traffic.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import { type StandIns, switched } from "./switched.ts"

export const serveBilling = (state: StandIns) =>
  Effect.gen(function* () {
    const serve = yield* switched(state)
    const subscription = { plan: "free", status: "active", period: "2030-01", started_at: new Date().toISOString(), limits: { connect: 3 } }
    yield* serve(billing.reserveConnect, ({ connection_id }) =>
      Effect.as(
        Effect.sync(() => state.reserved.add(connection_id)),
        {}
      )
    )
    yield* serve(billing.releaseConnect, ({ connection_id }) =>
      Effect.as(
        Effect.sync(() => state.reserved.delete(connection_id)),
        {}
      )
    )
    yield* serve(billing.listPlans, () =>
      Effect.succeed({ plans: [{ key: "free", name: "Free", price_minor: 0, currency: "EUR", limits: { connect: 3 } }] })
    )
    yield* serve(billing.readSubscription, () => Effect.succeed(subscription))
    yield* serve(billing.subscribe, ({ plan }) => Effect.succeed({ ...subscription, plan }))
    yield* serve(billing.readUsage, ({ period }) => Effect.succeed({ period, usage: [{ kind: "connect" as const, used: 1, limit: null }] }))
    yield* serve(traffic.readTraffic, ({ from }) => {
      const statuses = { "1xx": 0, "2xx": 2, "3xx": 0, "4xx": 1, "5xx": 0, none: 0 }
      const latency = traffic.latencyBounds.map(() => 0)
      return Effect.succeed({ points: [{ at: from, requests: 3, bytes_in: 4, bytes_out: 5, statuses, latency: [...latency, 3] }] })
    })
    yield* serve(billing.startCheckout, () =>
      Effect.fail(new CallError({ code: "billing_unavailable", message: "no billing provider is configured" }))
    )
  })
