/**
 * The gauges, read from the tables: what is cheap every minute, what walks an index of a million certificates every five.
 *
 * Owns: the queries, each answered by one index alone. Leaves to `metrics.ts`: names and meaning. Every certifier tells the whole fleet's
 * figures: alert rules take the greatest or the least. Built against: monitoring that costs more than what it monitors.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { Clock, Effect, Layer, Metric, Schedule } from "effect"
import { nameOf } from "../acmeDirectories.ts"
import { Budgets } from "../Budgets.ts"
import { type Limit, limitsOf } from "../caLimits.ts"
import { gauges } from "./metrics.ts"

interface Lives {
  readonly served: number
  readonly first_end: number | null
  readonly least_share: number | null
  readonly imported: number
  readonly imported_ending: number
}

interface Queue {
  readonly failing: number
  readonly paused: number
  readonly replacing: number
  readonly oldest_due: number | null
  readonly revocations: number
}

interface Spent {
  readonly directory: string
  readonly limit_name: string
  readonly used: number
}

export const makeGauges = Effect.gen(function* () {
  const { query } = yield* Database
  const budgets = yield* Budgets
  const limits = yield* limitsOf

  const lives = Effect.gen(function* () {
    const [row] = yield* query<Lives>(
      (sql) => sql`
        select ours.*, theirs.* from (
          select count(*)::int as served, extract(epoch from min(not_after) - now())::float8 as first_end,
            min(extract(epoch from not_after - now()) / extract(epoch from not_after - not_before))::float8 as least_share
          from certifier.certificates where state = 'current' and directory <> 'imported'
        ) as ours, (
          select count(*)::int as imported, count(*) filter (where not_after - now() <= (not_after - not_before) / 24)::int as imported_ending
          from certifier.certificates where state = 'current' and directory = 'imported'
        ) as theirs`
    )
    const { served, first_end, least_share, imported, imported_ending } = row!
    yield* Metric.update(gauges.served, served)
    yield* Metric.update(gauges.firstEnd, first_end ?? 0)
    // Nothing served: nothing runs out.
    yield* Metric.update(gauges.leastShare, least_share ?? 1)
    yield* Metric.update(gauges.imported, imported)
    yield* Metric.update(gauges.importedEnding, imported_ending)
  })

  const queue = Effect.gen(function* () {
    const [row] = yield* query<Queue>(
      (sql) => sql`
        select (select count(*)::int from certifier.claims where failures > 0) as failing,
          (select count(*)::int from certifier.claims where paused_until is not null) as paused,
          (select count(*)::int from certifier.claims where replace_reason is not null) as replacing,
          (select extract(epoch from now() - min(due_at))::float8 from certifier.claims where due_at <= now() and not leased) as oldest_due,
          (select count(*)::int from certifier.certificates where revoke_reason is not null and revoked_at is null and not_after > now()) as revocations`
    )
    const { failing, paused, replacing, oldest_due, revocations } = row!
    yield* Metric.update(gauges.failing, failing)
    yield* Metric.update(gauges.paused, paused)
    yield* Metric.update(gauges.replacing, replacing)
    yield* Metric.update(gauges.overdue, oldest_due ?? 0)
    yield* Metric.update(gauges.revocations, revocations)
  })

  const spent = Effect.gen(function* () {
    const rows = yield* query<Spent>(
      (sql) => sql`
        select directory, limit_name, max(total)::int as used from (
          select directory, limit_name, key, sum(used) as total from certifier.spendings where spent_until > now()
          group by directory, limit_name, key
        ) as keys group by directory, limit_name`
    )
    for (const { directory, limit_name, used } of rows) {
      const limit = limits(directory).find(({ name }: Limit) => name === limit_name)
      const at = { ca: nameOf(directory), limit: limit_name }
      if (limit !== undefined) yield* Metric.update(Metric.withAttributes(gauges.budgetUsed, at), used / limit.max)
    }
  })

  const told = new Set<string>()
  const pauses = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const paused = yield* budgets.paused
    for (const directory of paused.keys()) told.add(directory)
    for (const directory of told) {
      const seconds = Math.max(0, ((paused.get(directory)?.getTime() ?? now) - now) / 1000)
      yield* Metric.update(Metric.withAttributes(gauges.authorityPaused, { ca: nameOf(directory) }), seconds)
    }
  })

  return { often: Effect.all([queue, spent, pauses], { discard: true }), seldom: lives }
})

/** Keeps the gauges fresh while its scope is open. */
export const gaugesKept = Layer.effectDiscard(
  Effect.gen(function* () {
    const { often, seldom } = yield* makeGauges
    const kept = <E>(refresh: Effect.Effect<void, E>, every: "1 minute" | "5 minutes") =>
      refresh.pipe(
        Effect.tapError((error) => Effect.logWarning("gauges could not be read", { error: String(error) })),
        Effect.ignore,
        Effect.repeat(Schedule.spaced(every)),
        Effect.forkScoped
      )
    yield* kept(often, "1 minute")
    yield* kept(seldom, "5 minutes")
  })
)
