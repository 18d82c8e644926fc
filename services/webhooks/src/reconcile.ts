/**
 * The walk over the event log that makes the queue dispensable.
 *
 * Owns: bringing events that no message brought (the broker lost its store, a consumer was made anew). Leaves the rows to `Deliveries.ts`:
 * owing an event twice is owing it once. Built against: an event that is committed in Postgres and delivered to nobody.
 *
 * `lifecycle.published_events` shows an event only when no older one can still appear before it, so a cursor never skips any.
 */
import { Database } from "@connect-domain/database/Database.ts"
import type { ConnectionEvent } from "@connect-domain/messages/events.ts"
import { Effect } from "effect"
import { Deliveries } from "./Deliveries.ts"
import { Dispatcher } from "./Dispatcher.ts"

const batch = 200
/** Milliseconds between walks: short while they find something that was missing, longer and longer while all is well. */
const gaps = { shortest: 5_000, longest: 120_000 }

interface LoggedEvent extends Omit<ConnectionEvent, "occurred_at"> {
  readonly position: string
  readonly occurred_at: Date
}

/** Younger events are left to their messages. Milliseconds. */
const young = 10_000

/**
 * One step; answers how many events were read and how many deliveries had been missing. Stops at the first event younger than `leaveYoung`
 * milliseconds: what is left out is read by the next walk.
 */
export const walk = Effect.fn("webhooks.walk")(function* (leaveYoung: number = young) {
  const database = yield* Database
  const deliveries = yield* Deliveries
  const [cursor] = yield* database.query<{ position: string }>((sql) => sql`select position from webhooks.cursors where name = 'events'`)
  const logged = yield* database.query<LoggedEvent>(
    (sql) => sql`select position, id, type, tenant_id, application_id, connection_id, environment, sequence, data, occurred_at
                 from lifecycle.published_events where position > ${cursor?.position ?? ""} order by position limit ${batch}`
  )
  const tooYoung = logged.findIndex((event) => event.occurred_at.getTime() > Date.now() - leaveYoung)
  const events = tooYoung < 0 ? logged : logged.slice(0, tooYoung)
  const owed = yield* Effect.forEach(events, ({ occurred_at, ...event }) =>
    deliveries.owe({ ...event, occurred_at: occurred_at.toISOString() })
  )
  const last = events.at(-1)
  if (last !== undefined) {
    // Upwards only: another replica may be ahead.
    yield* database.query(
      (sql) => sql`insert into webhooks.cursors as c (name, position) values ('events', ${last.position})
                   on conflict (name) do update set position = excluded.position, updated_at = now()
                   where c.position collate "C" < excluded.position collate "C"`
    )
  }
  return { read: events.length, missing: owed.flat().length }
})

/** Walks for ever. */
export const reconcile = Effect.gen(function* () {
  const dispatcher = yield* Dispatcher
  let gap = gaps.shortest
  const once = Effect.gen(function* () {
    const { read, missing } = yield* walk()
    if (missing > 0) {
      yield* Effect.logWarning("events from the log that no message brought", { missing })
      yield* dispatcher.look
    }
    gap = missing > 0 ? gaps.shortest : Math.min(gap * 2, gaps.longest)
    return read < batch ? gap : 0
  }).pipe(Effect.catchCause((cause) => Effect.as(Effect.logWarning("the walk over the event log waits", cause), gaps.shortest)))
  while (true) yield* Effect.sleep(yield* once)
})
