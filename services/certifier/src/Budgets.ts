/**
 * What the fleet may still ask of a CA: limits held in Postgres, so that N certifiers together never exceed them (A3).
 *
 * Owns: the tables `certifier.spendings` and `certifier.pauses`. Leaves to `caLimits.ts`: the figures; to the caller: waiting.
 * Each limit's window is cut into twelve slots; what is counted are all slots that the window touches, so the sum is never less than the
 * CA's own, whatever way it counts. Built against: two processes that both see "one left" (the key is locked while it is counted).
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Context, Effect, Layer } from "effect"
import { keyFor, type Limit, limitsOf } from "./caLimits.ts"

export interface Refusal {
  readonly limit: string
  readonly per: Limit["per"]
  readonly until: Date
}

export const slotsPerWindow = 12

export class Budgets extends Context.Service<
  Budgets,
  {
    /** Takes one order for these names out of every limit, or out of none: then says which forbids it and until when. */
    readonly takeOrder: (directory: string, names: ReadonlyArray<string>) => Effect.Effect<Refusal | undefined, DatabaseError>
    /** A failed authorization counts. */
    readonly countFailure: (directory: string, name: string) => Effect.Effect<void, DatabaseError>
    /** No new orders at this CA until then; a pause is only ever prolonged. */
    readonly pause: (directory: string, until: Date, because: string) => Effect.Effect<void, DatabaseError>
    /** Directories that take no new orders now. */
    readonly paused: Effect.Effect<ReadonlyMap<string, Date>, DatabaseError>
    /** Deletes slots that no window touches any more. */
    readonly forget: Effect.Effect<void, DatabaseError>
  }
>()("certifier/Budgets") {
  static readonly layer = Layer.effect(
    Budgets,
    Effect.gen(function* () {
      return make(yield* Database, yield* limitsOf)
    })
  )
}

/** `clock` is asked inside the transaction, once all locks are held: the database's own, because certifiers' clocks differ. */
export const make = (
  database: Database["Service"],
  limits: (directory: string) => ReadonlyArray<Limit>,
  clock: Effect.Effect<Date, DatabaseError> = databaseClock(database)
): Budgets["Service"] => {
  const { query, transaction } = database

  const lock = (directory: string, limit: Limit, key: string) =>
    query((sql) => sql`select pg_advisory_xact_lock(hashtextextended(${`${directory} ${limit.name} ${key}`}, 0))`)

  /** Undefined when there is room, else when there will be. */
  const roomAt = (directory: string, limit: Limit, key: string, now: Date) =>
    Effect.map(
      query<{ used: number; until: Date | null }>(
        (sql) => sql`
          select coalesce(sum(used), 0)::int as used, min(spent_until) as until from certifier.spendings
          where directory = ${directory} and limit_name = ${limit.name} and key = ${key} and spent_until > ${now}`
      ),
      ([row]) => (row!.used < limit.max ? undefined : (row!.until ?? undefined))
    )

  const count = (directory: string, limit: Limit, key: string, now: Date) => {
    const slotMillis = Math.ceil(limit.window_seconds / slotsPerWindow) * 1000
    const slot = new Date(Math.floor(now.getTime() / slotMillis) * slotMillis)
    const until = new Date(slot.getTime() + slotMillis + limit.window_seconds * 1000)
    return query(
      (sql) => sql`
        insert into certifier.spendings (directory, limit_name, key, slot, used, spent_until)
        values (${directory}, ${limit.name}, ${key}, ${slot}, 1, ${until})
        on conflict (directory, limit_name, key, slot) do update set used = spendings.used + 1`
    )
  }

  const pause: Budgets["Service"]["pause"] = (directory, until, because) =>
    Effect.asVoid(
      query(
        (sql) => sql`
          insert into certifier.pauses (directory, until, because) values (${directory}, ${until}, ${because})
          on conflict (directory) do update set until = excluded.until, because = excluded.because where pauses.until < excluded.until`
      )
    )

  const take = Effect.fnUntraced(function* (directory: string, names: ReadonlyArray<string>) {
    // Everybody locks in one order: no deadlocks. Failures are asked about, not counted.
    const asked = [...limits(directory)].sort((a, b) => (a.name < b.name ? -1 : 1))
    yield* Effect.forEach(asked, (limit) => lock(directory, limit, keyFor(limit, names)), { discard: true })
    const now = yield* clock
    let refusal: Refusal | undefined
    for (const limit of asked) {
      const until = yield* roomAt(directory, limit, keyFor(limit, names), now)
      if (until !== undefined && (refusal === undefined || until > refusal.until)) refusal = { limit: limit.name, per: limit.per, until }
    }
    if (refusal?.per === "account") yield* pause(directory, refusal.until, refusal.limit)
    if (refusal !== undefined) return refusal
    const counting = asked.filter((limit) => limit.counts === "orders")
    yield* Effect.forEach(counting, (limit) => count(directory, limit, keyFor(limit, names), now), { discard: true })
    return undefined
  })

  const countFailure = Effect.fnUntraced(function* (directory: string, name: string) {
    const counting = limits(directory).filter((limit) => limit.counts === "failures")
    if (counting.length === 0) return
    const now = yield* clock
    yield* Effect.forEach(counting, (limit) => count(directory, limit, keyFor(limit, [name]), now), { discard: true })
  })

  return Budgets.of({
    pause,
    takeOrder: (directory, names) => (limits(directory).length === 0 ? Effect.undefined : transaction(take(directory, names))),
    countFailure,
    paused: Effect.map(
      query<{ directory: string; until: Date }>((sql) => sql`select directory, until from certifier.pauses where until > now()`),
      (rows) => new Map(rows.map((row) => [row.directory, row.until]))
    ),
    forget: Effect.asVoid(query((sql) => sql`delete from certifier.spendings where spent_until < now()`))
  })
}

const databaseClock = ({ query }: Database["Service"]): Effect.Effect<Date, DatabaseError> =>
  Effect.map(
    query<{ now: Date }>((sql) => sql`select clock_timestamp() as now`),
    ([row]) => row!.now
  )
