/**
 * What others may ask of billing, and how refusals are told.
 *
 * Owns: the mapping between calls and the services of this folder; the wire form of plans, subscriptions and usage.
 */
import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import * as messages from "@connect-domain/messages/billing.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import { BillingProvider, type BillingUnavailable } from "./BillingProvider.ts"
import { isPeriod } from "./billingPeriod.ts"
import { Ledger } from "./Ledger.ts"
import { planView } from "./PlanFile.ts"
import { Plans } from "./Plans.ts"
import { Quota, type QuotaExceeded } from "./Quota.ts"
import { type Subscription, Subscriptions, UnknownPlan } from "./Subscriptions.ts"
import { Traffic } from "./Traffic.ts"

type Refusal = BillingUnavailable | DatabaseError | QuotaExceeded | UnknownPlan

const refusal = (error: Refusal): CallError => {
  switch (error._tag) {
    case "QuotaExceeded": {
      const { kind, limit, plan, upgrade_url, message } = error
      return new CallError({ code: "QuotaExceeded", message, details: { kind, limit, plan, upgrade_url } })
    }
    case "UnknownPlan":
      return new CallError({ code: "invalid", message: error.message, details: [{ field: "plan", message: error.message }] })
    case "BillingUnavailable":
      return new CallError({ code: "billing_unavailable", message: error.message })
    case "DatabaseError":
      return error.reason === "Unavailable" || error.reason === "SerializationFailure"
        ? new CallError({ code: "unavailable", message: "the database does not answer" })
        : new CallError({ code: "internal", message: "internal error" })
  }
}

/** Runs only for ids that are ids: what is none belongs to nobody. */
export const answer = <A, R>(ids: ReadonlyArray<string>, effect: Effect.Effect<A, Refusal, R>): Effect.Effect<A, CallError, R> =>
  ids.every(isUuid)
    ? effect.pipe(
        Effect.tapError((error) =>
          error._tag === "DatabaseError" && error.reason === "Other" ? Effect.logError("a call failed", error.message) : Effect.void
        ),
        Effect.mapError(refusal)
      )
    : Effect.fail(new CallError({ code: "not_found", message: "no such object" }))

const subscriptionView = ({ plan, status, period, started_at }: Subscription): typeof messages.SubscriptionView.Type => ({
  plan: plan.key,
  status,
  period,
  started_at,
  limits: plan.limits
})

const badPeriod = new CallError({
  code: "invalid",
  message: "period must be a month, YYYY-MM",
  details: [{ field: "period", message: "must be a month, YYYY-MM" }]
})

const kinds = ["connect", "active_domain", "cert", "api_call"] as const

export const serveCalls = Effect.gen(function* () {
  const calls = yield* Calls
  const quota = yield* Quota
  const plans = yield* Plans
  const ledger = yield* Ledger
  const subscriptions = yield* Subscriptions
  const provider = yield* BillingProvider
  const traffic = yield* Traffic

  yield* calls.serve(messages.reserveConnect, ({ tenant_id, connection_id }) =>
    answer([tenant_id, connection_id], Effect.as(quota.reserve(tenant_id, connection_id), {}))
  )
  yield* calls.serve(messages.releaseConnect, ({ tenant_id, connection_id }) =>
    answer([tenant_id, connection_id], Effect.as(quota.release(tenant_id, connection_id), {}))
  )
  yield* calls.serve(messages.listPlans, () => Effect.map(plans.current, (file) => ({ plans: file.plans.map(planView) })))
  yield* calls.serve(messages.readSubscription, ({ tenant_id }) =>
    answer([tenant_id], Effect.map(subscriptions.read(tenant_id), subscriptionView))
  )
  yield* calls.serve(messages.subscribe, ({ tenant_id, plan }) =>
    answer([tenant_id], Effect.map(subscriptions.choose(tenant_id, plan), subscriptionView))
  )
  yield* calls.serve(messages.assignPlan, ({ tenant_id, plan }) =>
    answer([tenant_id], Effect.map(subscriptions.assign(tenant_id, plan), subscriptionView))
  )
  yield* calls.serve(messages.readUsage, ({ tenant_id, period }) =>
    isPeriod(period)
      ? answer(
          [tenant_id],
          Effect.gen(function* () {
            const { plan } = yield* subscriptions.read(tenant_id)
            const used = yield* ledger.used(tenant_id, period)
            const served = yield* traffic.month(tenant_id, period)
            return { period, traffic: served, usage: kinds.map((kind) => ({ kind, used: used[kind], limit: plan.limits[kind] })) }
          })
        )
      : Effect.fail(badPeriod)
  )
  yield* calls.serve(messages.startCheckout, (checkout) =>
    answer(
      [checkout.tenant_id],
      Effect.gen(function* () {
        const { plans: all } = yield* plans.current
        if (!all.some((plan) => plan.key === checkout.plan)) {
          return yield* new UnknownPlan({ plan: checkout.plan, known: all.map((plan) => plan.key) })
        }
        return yield* provider.checkout(checkout)
      })
    )
  )
})
