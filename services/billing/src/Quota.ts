/**
 * Reservations: what makes N parallel creates over a limit give exactly `limit` successes.
 *
 * Owns: calling the functions of the schema (the decision is one statement there, under the tenant's counter row; see 0040_billing.sql)
 * and clearing up after creates that died. Leaves the limits to `Plans.ts`, the error's wire form to `calls.ts`.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Context, Effect, Layer, Metric, Schema } from "effect"
import { limitsForReserve } from "./PlanFile.ts"
import { Plans } from "./Plans.ts"

/** A plan's limit is reached; nothing was used. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>()("QuotaExceeded", {
  kind: Schema.Literals(["connect", "active_domain"]),
  limit: Schema.Int,
  plan: Schema.String,
  upgrade_url: Schema.String
}) {
  override get message() {
    return this.kind === "connect"
      ? `the plan ${this.plan} allows ${this.limit} new domains a month, and they are used up`
      : `the plan ${this.plan} allows ${this.limit} live domains at a time, and they are used up`
  }
}

/** A reservation that nobody settled for this long is looked up at the lifecycle. Seconds. */
export const orphanAfterSeconds = 60

const refusals = Metric.counter("quota_refusals_total", { description: "creates refused by a plan's limit", incremental: true })

interface Outcome {
  readonly outcome: "reserved" | "exceeded"
  readonly plan: string
  readonly limited_kind: "connect" | "active_domain" | null
  readonly limit_value: number | null
}

export class Quota extends Context.Service<
  Quota,
  {
    /** Takes one `connect` of this month. The same connection id again takes nothing. One round trip. */
    readonly reserve: (tenant: string, connection: string) => Effect.Effect<void, QuotaExceeded | DatabaseError>
    /** Gives it back, unless the create is known to have happened. Idempotent. */
    readonly release: (tenant: string, connection: string) => Effect.Effect<void, DatabaseError>
    /** The create happened at `createdAt` (ISO 8601): it counts for ever. Idempotent; inserts what a crash or a sweep took away. */
    readonly commit: (tenant: string, connection: string, createdAt: string) => Effect.Effect<void, DatabaseError>
    /** Settles reservations older than 60 s by what the lifecycle knows; answers how many were committed and released. */
    readonly sweep: Effect.Effect<{ readonly committed: number; readonly released: number }, DatabaseError>
    /** Milliseconds until the oldest open reservation is due for `sweep`; undefined when none is open. */
    readonly nextSweepIn: Effect.Effect<number | undefined, DatabaseError>
  }
>()("billing/Quota") {
  static readonly layer = Layer.effect(
    Quota,
    Effect.gen(function* () {
      const database = yield* Database
      const plans = yield* Plans

      const reserve = Effect.fn("Quota.reserve")(function* (tenant: string, connection: string) {
        const file = yield* plans.current
        const [row] = yield* database.query<Outcome>(
          (sql) => sql`select * from billing.reserve(${connection}::uuid, ${tenant}::uuid, ${sql.json(limitsForReserve(file))}::jsonb)`
        )
        if (row?.outcome === "exceeded") {
          yield* Metric.update(Metric.withAttributes(refusals, { plan: row.plan, kind: row.limited_kind! }), 1)
          return yield* new QuotaExceeded({
            kind: row.limited_kind!,
            limit: Number(row.limit_value),
            plan: row.plan,
            upgrade_url: file.upgrade_url
          })
        }
      })

      const releaseAll = (connections: ReadonlyArray<string>, tenant: string | null) =>
        database.query((sql) => sql`select billing.release(${connections}::uuid[], ${tenant}::uuid)`)

      return Quota.of({
        reserve,
        release: (tenant, connection) => Effect.asVoid(releaseAll([connection], tenant)),
        commit: (tenant, connection, createdAt) =>
          Effect.asVoid(
            database.query((sql) => sql`select billing.commit_reservation(${connection}::uuid, ${tenant}::uuid, ${createdAt}::timestamptz)`)
          ),
        sweep: sweep(database, releaseAll),
        nextSweepIn: Effect.map(
          database.query<{ wait: number | null }>(
            (sql) => sql`select (extract(epoch from min(reserved_at) - now()) * 1000 + ${orphanAfterSeconds * 1000})::float8 as wait
                         from billing.reservations where not committed`
          ),
          ([row]) => row?.wait ?? undefined
        )
      })
    })
  )
}

/** At most this many at once, so that a long outage is cleared up in steps. */
const sweepBatch = 500

const sweep = (
  database: Database["Service"],
  releaseAll: (connections: ReadonlyArray<string>, tenant: null) => Effect.Effect<unknown, DatabaseError>
) =>
  Effect.gen(function* () {
    const old = yield* database.query<{ id: string; known: boolean }>(
      (sql) => sql`
        select r.connection_id as id, p.id is not null as known
        from (select connection_id from billing.reservations
              where not committed and reserved_at < now() - ${orphanAfterSeconds} * interval '1 second'
              order by reserved_at limit ${sweepBatch}) r
        left join lifecycle.published_connections p on p.id = r.connection_id`
    )
    const known = old.filter((row) => row.known).map((row) => row.id)
    const unknown = old.filter((row) => !row.known).map((row) => row.id)
    if (known.length > 0) {
      yield* database.query((sql) => sql`update billing.reservations set committed = true where connection_id = any(${known}::uuid[])`)
    }
    if (unknown.length > 0) yield* releaseAll(unknown, null)
    return { committed: known.length, released: unknown.length }
  })
