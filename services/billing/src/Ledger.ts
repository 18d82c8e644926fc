/**
 * What was used: an idempotent ledger of `cert` and `api_call`, and the month's sums of all four kinds.
 *
 * Owns: counting each message once (its id is the key; the sums are kept in the same statement) and reading a month.
 * Leaves to `certificateUsage.ts` which events are a certificate, to `Quota.ts` the kind that can be refused.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Context, Effect, Layer } from "effect"
import { firstDay } from "./billingPeriod.ts"

export type LedgerKind = "cert" | "api_call"

export interface Entry {
  /** The id of the message that says so: an event's, a meter batch's. */
  readonly id: string
  readonly kind: LedgerKind
  readonly tenant_id: string
  /** `YYYY-MM` */
  readonly period: string
  readonly quantity: number
  /** ISO 8601 */
  readonly occurred_at: string
}

export interface Used {
  readonly connect: number
  readonly active_domain: number
  readonly cert: number
  readonly api_call: number
}

export class Ledger extends Context.Service<
  Ledger,
  {
    /** Counts entries whose id was not counted before; all or none. */
    readonly record: (entries: ReadonlyArray<Entry>) => Effect.Effect<void, DatabaseError>
    /** What a tenant used in a month. `active_domain` is always the number of now. */
    readonly used: (tenant: string, period: string) => Effect.Effect<Used, DatabaseError>
  }
>()("billing/Ledger") {
  static readonly layer = Layer.effect(
    Ledger,
    Effect.gen(function* () {
      const database = yield* Database
      return Ledger.of({
        record: (entries) => (entries.length === 0 ? Effect.void : Effect.asVoid(record(database, entries))),
        used: Effect.fn("Ledger.used")(function* (tenant: string, period: string) {
          const [row] = yield* database.query<Record<keyof Used, number | string>>(
            (sql) => sql`
              select
                (select count(*) from billing.reservations where tenant_id = ${tenant}::uuid and period = ${firstDay(period)}::date) as connect,
                (select count(*) from lifecycle.published_connections
                 where tenant_id = ${tenant}::uuid and state in ('live', 'drifted')) as active_domain,
                coalesce(sum(used) filter (where kind = 'cert'), 0) as cert,
                coalesce(sum(used) filter (where kind = 'api_call'), 0) as api_call
              from billing.usage_totals where tenant_id = ${tenant}::uuid and period = ${firstDay(period)}::date`
          )
          return {
            connect: Number(row!.connect),
            active_domain: Number(row!.active_domain),
            cert: Number(row!.cert),
            api_call: Number(row!.api_call)
          }
        })
      })
    })
  )
}

/** Both inserts go in key order: two batches that overlap can't lock crosswise. */
const record = (database: Database["Service"], entries: ReadonlyArray<Entry>) =>
  database.query((sql) => {
    const rows = entries.map((entry) => ({ ...entry, period: firstDay(entry.period) }))
    return sql`
      with fresh as (
        insert into billing.usage_ledger (id, kind, tenant_id, period, quantity, occurred_at)
        select distinct on (kind, id) id, kind, tenant_id, period, quantity, occurred_at
        from jsonb_to_recordset(${sql.json(rows)}::jsonb)
          as x(id text, kind text, tenant_id uuid, period date, quantity bigint, occurred_at timestamptz)
        order by kind, id
        on conflict do nothing
        returning tenant_id, period, kind, quantity
      )
      insert into billing.usage_totals as t (tenant_id, period, kind, used)
      select tenant_id, period, kind, sum(quantity) from fresh group by 1, 2, 3 order by 1, 2, 3
      on conflict (tenant_id, period, kind) do update set used = t.used + excluded.used`
  })
