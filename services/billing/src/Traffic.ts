/**
 * What the edges served: counted once by hour, and read by hour or day.
 *
 * Owns: into which hour a batch goes, reading, and how long hours are kept. Leaves to the schema (0041_billing_traffic.sql): counting a
 * batch once, in one transaction; to the edges: keeping it until then. Sums of months are kept for ever. Built against: an edge whose clock
 * is wrong, and rows of years.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { latencyBounds, statusClasses, type TrafficBatch, type TrafficPoint, type TrafficSums } from "@connect-domain/messages/traffic.ts"
import { Config, Context, Effect, Layer } from "effect"
import { firstDay, lateAfterMillis, skewMillis } from "./billingPeriod.ts"

/** `CD_TRAFFIC_RETENTION_DAYS` (400): how long traffic is kept by the hour; sums of months stay. */
export const TrafficRetentionDays = Config.Finite("CD_TRAFFIC_RETENTION_DAYS").pipe(Config.withDefault(400))

const hourMillis = 3_600_000

/** The hour in which traffic of `at` counts when it is recorded at `now` (milliseconds). What is too old or in the future counts now. */
export const countedHour = (at: number, now: number): number => {
  const trusted = Number.isNaN(at) || at > now + skewMillis || at < now - lateAfterMillis ? now : at
  return trusted - (trusted % hourMillis)
}

export interface TrafficRange {
  readonly tenant_id: string
  readonly connection_id: string
  /** ISO 8601; `from` is in, `to` is not. */
  readonly from: string
  readonly to: string
  readonly step: "hour" | "day"
}

export class Traffic extends Context.Service<
  Traffic,
  {
    /** Counts a batch; false: it was counted before. All of it or nothing. */
    readonly count: (batch: TrafficBatch) => Effect.Effect<boolean, DatabaseError>
    /** Steps with traffic, in order. Undefined: the tenant has no such connection. */
    readonly read: (range: TrafficRange) => Effect.Effect<ReadonlyArray<typeof TrafficPoint.Type> | undefined, DatabaseError>
    /** A tenant's sum of a month (`YYYY-MM`). */
    readonly month: (tenant: string, period: string) => Effect.Effect<typeof TrafficSums.Type, DatabaseError>
    /** Deletes some of what is older than is kept; answers how many rows. */
    readonly sweep: Effect.Effect<number, DatabaseError>
  }
>()("billing/Traffic") {
  static readonly layer = Layer.effect(
    Traffic,
    Effect.gen(function* () {
      const database = yield* Database
      const days = yield* TrafficRetentionDays
      return Traffic.of({
        count: (batch) => count(database, batch),
        read: (range) => read(database, range),
        month: (tenant, period) => month(database, tenant, period),
        sweep: sweep(database, days)
      })
    })
  )
}

type Db = Database["Service"]

const count = (database: Db, batch: TrafficBatch) => {
  const hour = new Date(countedHour(Date.parse(batch.at), Date.now())).toISOString()
  return Effect.map(
    database.query<{ counted: boolean }>(
      (sql) => sql`select billing.count_traffic(${batch.edge_id}, ${batch.boot_id}, ${batch.sequence}, ${hour}::timestamptz,
                   ${sql.json(batch.rows as never)}::jsonb) as counted`
    ),
    ([row]) => row!.counted
  )
}

interface Row {
  readonly at: Date
  readonly bytes_in: string
  readonly bytes_out: string
  readonly statuses: ReadonlyArray<string | number>
  readonly latency: ReadonlyArray<string | number>
}

const toPoint = (row: Row): typeof TrafficPoint.Type => {
  const statuses = statusClasses.map((name, at) => [name, Number(row.statuses[at] ?? 0)] as const)
  return {
    at: row.at.toISOString(),
    requests: statuses.reduce((sum, [, one]) => sum + one, 0),
    bytes_in: Number(row.bytes_in),
    bytes_out: Number(row.bytes_out),
    statuses: Object.fromEntries(statuses) as (typeof TrafficPoint.Type)["statuses"],
    latency: Array.from({ length: latencyBounds.length + 1 }, (_, at) => Number(row.latency[at] ?? 0))
  }
}

const read = (database: Db, { tenant_id, connection_id, from, to, step }: TrafficRange) =>
  Effect.gen(function* () {
    const [owned] = yield* database.query(
      (sql) => sql`select 1 from lifecycle.published_connections where tenant_id = ${tenant_id}::uuid and id = ${connection_id}::uuid`
    )
    if (owned === undefined) return undefined
    const rows = yield* database.query<Row>(
      (sql) => sql`
        select date_trunc(${step}, hour, 'UTC') as at, sum(bytes_in)::bigint as bytes_in, sum(bytes_out)::bigint as bytes_out,
          billing.sum_counts(statuses) as statuses, billing.sum_counts(latency) as latency
        from billing.traffic_hours
        where tenant_id = ${tenant_id}::uuid and connection_id = ${connection_id}::uuid
          and hour >= ${from}::timestamptz and hour < ${to}::timestamptz
        group by 1 order by 1`
    )
    return rows.map(toPoint)
  })

const month = (database: Db, tenant: string, period: string) =>
  Effect.map(
    database.query<{ requests: string; bytes_in: string; bytes_out: string }>(
      (sql) => sql`select requests, bytes_in, bytes_out from billing.traffic_months
                   where tenant_id = ${tenant}::uuid and period = ${firstDay(period)}::date`
    ),
    ([row]) => ({ requests: Number(row?.requests ?? 0), bytes_in: Number(row?.bytes_in ?? 0), bytes_out: Number(row?.bytes_out ?? 0) })
  )

/** At most this many rows at a time: a step holds no lock for long. */
const sweepRows = 10_000
/** An edge may come back with a batch of a boot that is this old, and no older one: it keeps its unsent batches for less. */
const bootDays = 400

const sweep = (database: Db, days: number) =>
  Effect.gen(function* () {
    const gone = yield* database.query<{ gone: string }>(
      (sql) => sql`
        with old as (
          delete from billing.traffic_hours where (connection_id, hour) in (
            select connection_id, hour from billing.traffic_hours where hour < now() - ${days} * interval '1 day' limit ${sweepRows}
          ) returning 1
        ) select count(*) as gone from old`
    )
    yield* database.query((sql) => sql`delete from billing.traffic_edges where updated_at < now() - ${bootDays} * interval '1 day'`)
    return Number(gone[0]!.gone)
  })

/** For ever: as long as there is much, without pause, then once an hour. */
export const sweepTraffic = Effect.gen(function* () {
  const traffic = yield* Traffic
  const once = traffic.sweep.pipe(Effect.catchCause((cause) => Effect.as(Effect.logWarning("old traffic waits", cause), 0)))
  while (true) if ((yield* once) < sweepRows) yield* Effect.sleep("1 hour")
})
