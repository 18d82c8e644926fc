/**
 * Which plan a tenant is on.
 *
 * Owns: reading and changing it. Leaves prices and limits to the plans file, payment to the billing provider.
 * Built against: an API key that upgrades its own tenant to a plan nobody pays for.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { Context, Effect, Layer, Schema } from "effect"
import { BillingProvider, BillingUnavailable } from "./BillingProvider.ts"
import { periodOf } from "./billingPeriod.ts"
import { type Plan, planOf } from "./PlanFile.ts"
import { Plans } from "./Plans.ts"

export class UnknownPlan extends Schema.TaggedError<UnknownPlan>()("UnknownPlan", {
  plan: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `no such plan; choose one of ${this.known.join(", ")}`
  }
}

export interface Subscription {
  readonly plan: Plan
  readonly status: "active"
  readonly period: string
  /** ISO 8601; the tenant's first day on this plan. A tenant that never chose one has the default plan from the period's start. */
  readonly started_at: string
}

export class Subscriptions extends Context.Service<
  Subscriptions,
  {
    readonly read: (tenant: string) => Effect.Effect<Subscription, DatabaseError>
    /** A tenant's own choice: free plans, and others where a provider takes the money (after checkout) or in the sandbox. */
    readonly choose: (tenant: string, plan: string) => Effect.Effect<Subscription, UnknownPlan | BillingUnavailable | DatabaseError>
    /** The operator's choice: any plan of the file. */
    readonly assign: (tenant: string, plan: string) => Effect.Effect<Subscription, UnknownPlan | DatabaseError>
  }
>()("billing/Subscriptions") {
  static readonly layer = Layer.effect(
    Subscriptions,
    Effect.gen(function* () {
      const database = yield* Database
      const plans = yield* Plans
      const provider = yield* BillingProvider
      const mode = yield* Mode

      const read = Effect.fn("Subscriptions.read")(function* (tenant: string) {
        const file = yield* plans.current
        const [row] = yield* database.query<{ plan: string; since: Date }>(
          (sql) => sql`select plan, since from billing.subscriptions where tenant_id = ${tenant}::uuid`
        )
        const period = periodOf(Date.now())
        const started = row?.since ?? new Date(`${period}-01T00:00:00Z`)
        return { plan: planOf(file, row?.plan), status: "active" as const, period, started_at: started.toISOString() }
      })

      const find = Effect.fnUntraced(function* (key: string) {
        const file = yield* plans.current
        const plan = file.plans.find((candidate) => candidate.key === key)
        return plan ?? (yield* new UnknownPlan({ plan: key, known: file.plans.map((candidate) => candidate.key) }))
      })

      /** The counter goes with the old plan: the next limited create counts afresh. In one statement, so in one transaction. */
      const assign = Effect.fn("Subscriptions.assign")(function* (tenant: string, key: string) {
        yield* find(key)
        yield* database.query(
          (sql) => sql`
            with counter as (delete from billing.connect_counters where tenant_id = ${tenant}::uuid)
            insert into billing.subscriptions as s (tenant_id, plan) values (${tenant}::uuid, ${key})
            on conflict (tenant_id) do update
              set since = case when s.plan = excluded.plan then s.since else now() end, plan = excluded.plan, updated_at = now()`
        )
        return yield* read(tenant)
      })

      const choose = Effect.fn("Subscriptions.choose")(function* (tenant: string, key: string) {
        const plan = yield* find(key)
        if (mode !== "sandbox" && plan.price_minor !== 0) {
          return yield* new BillingUnavailable({
            message: provider.takesMoney
              ? `the plan ${key} is paid for first: start a checkout`
              : `the plan ${key} costs money and no billing provider is configured`,
            retryable: false
          })
        }
        return yield* assign(tenant, key)
      })

      return Subscriptions.of({ read, choose, assign })
    })
  )
}
