/** What billing is asked: reservations, plans, usage. */
import { Schema } from "effect"
import { call, work } from "./definition.ts"
import { TrafficSums } from "./traffic.ts"

/** Idempotent by `connection_id`. Error: `QuotaExceeded` with details {limit, plan, upgrade_url, kind}. */
export const reserveConnect = call({
  subject: "cd.call.v1.billing.reserve",
  from: ["gateway"],
  to: "billing",
  payload: Schema.Struct({ tenant_id: Schema.String, connection_id: Schema.String }),
  success: Schema.Struct({})
})

/** The create was refused: it uses nothing. Idempotent; a committed reservation stays. */
export const releaseConnect = call({
  subject: "cd.call.v1.billing.release",
  from: ["gateway"],
  to: "billing",
  payload: Schema.Struct({ tenant_id: Schema.String, connection_id: Schema.String }),
  success: Schema.Struct({})
})

export const commitConnect = work({
  subject: "cd.work.v1.billing.reservation.commit.{connection_id}",
  from: ["lifecycle"],
  to: "billing",
  payload: Schema.Struct({ tenant_id: Schema.String, connection_id: Schema.String, created_at: Schema.String })
})

/** Calls of one tenant in one calendar month, summed by a gateway process over some seconds; `batch_id` makes it count once. */
export const meterApiCalls = work({
  subject: "cd.work.v1.billing.meter.api-calls.{tenant_id}",
  from: ["gateway"],
  to: "billing",
  payload: Schema.Struct({ tenant_id: Schema.String, batch_id: Schema.String, period: Schema.String, count: Schema.Int })
})

export const UsageKind = Schema.Literals(["connect", "active_domain", "cert", "api_call"])
export const PlanView = Schema.Struct({
  key: Schema.String,
  name: Schema.String,
  /** Minor units of `currency` per month; null: by agreement. */
  price_minor: Schema.NullOr(Schema.Int),
  currency: Schema.String,
  limits: Schema.Record(Schema.String, Schema.NullOr(Schema.Int))
})
export const SubscriptionView = Schema.Struct({
  plan: Schema.String,
  status: Schema.String,
  period: Schema.String,
  started_at: Schema.String,
  limits: Schema.Record(Schema.String, Schema.NullOr(Schema.Int))
})

export const listPlans = call({
  subject: "cd.call.v1.billing.plans",
  from: ["gateway"],
  to: "billing",
  payload: Schema.Struct({}),
  success: Schema.Struct({ plans: Schema.Array(PlanView) })
})

const tenant = Schema.Struct({ tenant_id: Schema.String })
export const readSubscription = call({
  subject: "cd.call.v1.billing.subscription",
  from: ["gateway"],
  to: "billing",
  payload: tenant,
  success: SubscriptionView
})

/** Error: `invalid` for an unknown plan, `billing_unavailable` for a plan that costs money while no billing provider is configured. */
export const subscribe = call({
  subject: "cd.call.v1.billing.subscribe",
  from: ["gateway", "operator"],
  to: "billing",
  payload: Schema.Struct({ tenant_id: Schema.String, plan: Schema.String }),
  success: SubscriptionView
})

/** The operator's choice: any plan of the file, paid for or not. Error: `invalid` for an unknown plan. Idempotent. */
export const assignPlan = call({
  subject: "cd.call.v1.billing.assign",
  from: ["operator"],
  to: "billing",
  payload: Schema.Struct({ tenant_id: Schema.String, plan: Schema.String }),
  success: SubscriptionView
})

/** `period` is `YYYY-MM`, UTC. */
export const readUsage = call({
  subject: "cd.call.v1.billing.usage",
  from: ["gateway"],
  to: "billing",
  payload: Schema.Struct({ tenant_id: Schema.String, period: Schema.String }),
  success: Schema.Struct({
    period: Schema.String,
    usage: Schema.Array(Schema.Struct({ kind: UsageKind, used: Schema.Int, limit: Schema.NullOr(Schema.Int) })),
    /** What the edges served for the tenant in that month; no kind of usage, nothing is limited by it. */
    traffic: Schema.optionalKey(TrafficSums)
  })
})

/** Error: `billing_unavailable` while no billing provider is configured. */
export const startCheckout = call({
  subject: "cd.call.v1.billing.checkout",
  from: ["gateway"],
  to: "billing",
  payload: Schema.Struct({
    tenant_id: Schema.String,
    plan: Schema.String,
    success_url: Schema.NullOr(Schema.String),
    cancel_url: Schema.NullOr(Schema.String)
  }),
  success: Schema.Struct({ url: Schema.String })
})
