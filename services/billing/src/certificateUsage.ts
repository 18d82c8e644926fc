/**
 * Certificates as usage: which events count, and the walk over the event log that counts those no message brought.
 *
 * Owns: events → ledger entries. Leaves counting once to `Ledger.ts` (the event's id is the key).
 */
import { Database } from "@connect-domain/database/Database.ts"
import type { ConnectionEvent } from "@connect-domain/messages/events.ts"
import { Effect } from "effect"
import { countedPeriod } from "./billingPeriod.ts"
import { type Entry, Ledger } from "./Ledger.ts"

const counted = ["ssl.issued", "ssl.renewed"]

type Counted = Pick<ConnectionEvent, "id" | "type" | "tenant_id" | "occurred_at">

/** One certificate for each issue and each renewal; nothing for other events. */
export const certificateEntries = (event: Counted, now: number): ReadonlyArray<Entry> =>
  counted.includes(event.type)
    ? [
        {
          id: event.id,
          kind: "cert",
          tenant_id: event.tenant_id,
          period: countedPeriod(Date.parse(event.occurred_at), now),
          quantity: 1,
          occurred_at: event.occurred_at
        }
      ]
    : []

const batch = 1_000

/** One step over the log; answers how many events were read. */
export const walk = Effect.gen(function* () {
  const database = yield* Database
  const ledger = yield* Ledger
  const [cursor] = yield* database.query<{ position: string }>((sql) => sql`select position from billing.cursors where name = 'events'`)
  const events = yield* database.query<Omit<Counted, "occurred_at"> & { readonly position: string; readonly occurred_at: Date }>(
    (sql) => sql`select position, id, type, tenant_id, occurred_at from lifecycle.published_events
                 where position > ${cursor?.position ?? ""} order by position limit ${batch}`
  )
  const last = events.at(-1)
  if (last === undefined) return 0
  const now = Date.now()
  yield* ledger.record(events.flatMap((event) => certificateEntries({ ...event, occurred_at: event.occurred_at.toISOString() }, now)))
  yield* database.query(
    (sql) => sql`insert into billing.cursors as c (name, position) values ('events', ${last.position})
                 on conflict (name) do update set position = excluded.position, updated_at = now()
                 where c.position collate "C" < excluded.position collate "C"`
  )
  return events.length
})

/** Walks for ever: a first time at start, then every few minutes. Usage is read by people, by the month. */
export const reconcile = Effect.gen(function* () {
  while (true) {
    const read = yield* Effect.catchCause(walk, (cause) => Effect.as(Effect.logWarning("counting certificates waits", cause), 0))
    if (read < batch) yield* Effect.sleep("3 minutes")
  }
})
