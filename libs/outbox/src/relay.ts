/**
 * The relay: takes rows of the outbox in batches, publishes them at once, deletes those that were acknowledged.
 *
 * Owns: when it looks (woken by a commit in this process; otherwise by itself, for rows that another process left) and what happens when
 * NATS or Postgres is away (it waits, the rows stay). Several relays of one service share the rows by `skip locked`.
 */
import type { Database, DatabaseError } from "@connect-domain/database/Database.ts"
import type { Work } from "@connect-domain/nats/Work.ts"
import { Effect, Metric, Queue, type Scope } from "effect"

interface Row {
  readonly position: number
  readonly id: string
  readonly subject: string
  readonly payload: unknown
  readonly headers: Readonly<Record<string, string>>
}

export interface Relay {
  readonly poke: () => void
}

const batchSize = 256
/** Between looks without being woken: from the first to the second as long as nothing is found. Milliseconds. */
const idleMillis = { first: 1_000, last: 5_000 }
/** After a failure. Milliseconds. */
const troubleMillis = { first: 100, last: 1_000 }

const sent = Metric.counter("outbox_messages_sent_total", { description: "messages published from the outbox", incremental: true })

export const makeRelay = (database: Database["Service"], work: Work["Service"], table: string): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.gen(function* () {
    const wake = yield* Queue.sliding<void>(1)
    const idle = { millis: idleMillis.first }
    const trouble = { millis: troubleMillis.first }
    const step: Effect.Effect<void> = sendBatch(database, work, table).pipe(
      Effect.flatMap((outcome) => {
        if (outcome.failed !== undefined) return pauseAfter(outcome.failed)
        trouble.millis = troubleMillis.first
        if (outcome.taken === batchSize) return Effect.void
        idle.millis = outcome.taken > 0 ? idleMillis.first : Math.min(idle.millis * 2, idleMillis.last)
        return Effect.asVoid(Effect.timeoutOption(Queue.take(wake), idle.millis))
      }),
      Effect.catch((error) => pauseAfter(error.message)),
      Effect.catchDefect((defect) => pauseAfter(String(defect)))
    )
    const pauseAfter = (reason: string) =>
      Effect.suspend(() => {
        const millis = trouble.millis
        trouble.millis = Math.min(millis * 2, troubleMillis.last)
        const log = millis === troubleMillis.first ? Effect.logWarning(`${table} waits: ${reason}`) : Effect.void
        return Effect.andThen(log, Effect.sleep(millis))
      })
    yield* Effect.forkScoped(Effect.forever(step))
    return { poke: () => void Queue.offerUnsafe(wake, undefined) }
  })

/** One batch, in one transaction that holds the rows' locks until they are sent and deleted. */
const sendBatch = (
  database: Database["Service"],
  work: Work["Service"],
  table: string
): Effect.Effect<{ readonly taken: number; readonly failed: string | undefined }, DatabaseError> =>
  database.transaction(
    Effect.gen(function* () {
      const rows = yield* database.query<Row>(
        (sql) =>
          sql`select position, id, subject, payload, headers from ${sql(table)} order by position limit ${batchSize} for update skip locked`
      )
      if (rows.length === 0) return { taken: 0, failed: undefined }
      let failed: string | undefined
      const positions: Array<number> = []
      const send = (row: Row) =>
        Effect.matchEager(
          work.sendEncoded({ subject: row.subject, payload: JSON.stringify(row.payload), id: row.id, headers: row.headers }),
          {
            onSuccess: () => void positions.push(row.position),
            onFailure: (error) => {
              failed = error.message
            }
          }
        )
      yield* Effect.forEach(rows, send, { concurrency: "unbounded", discard: true })
      if (positions.length > 0) {
        yield* database.query((sql) => sql`delete from ${sql(table)} where position = any(${positions}::bigint[])`)
        yield* Metric.update(sent, positions.length)
      }
      return { taken: rows.length, failed }
    })
  )
