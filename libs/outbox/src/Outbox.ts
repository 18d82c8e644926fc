/**
 * Messages that leave with the transaction that decided to send them: written into `<schema>.outbox`, sent after the commit.
 *
 * Owns: the rows, and the relay that sends and deletes them. Leaves to the caller: the transaction; to libs/nats: publishing; to receivers:
 * dropping duplicates by id (a crash between sending and deleting sends again). Order is not promised.
 * Built against: an answer that was given while its message was lost, and a message sent for a transaction that was rolled back.
 * The table: `select public.create_outbox('<schema>')` in the service's migration.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { type EventDefinition, subjectOf, type WorkDefinition } from "@connect-domain/messages/definition.ts"
import { codecOf } from "@connect-domain/nats/codec.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { contextHeaders } from "@connect-domain/telemetry/requestContext.ts"
import { Context, Effect, Layer } from "effect"
import { makeRelay } from "./relay.ts"

type Sendable = WorkDefinition | EventDefinition

/** `id` must be the same whenever the same decision is made again: the second is dropped. */
export interface OutboxMessage<D extends Sendable = Sendable> {
  readonly definition: D
  readonly payload: D["payload"]["Type"]
  readonly id: string
}

/** The message with its payload's type checked against its definition. */
export const outgoing = <D extends Sendable>(definition: D, payload: D["payload"]["Type"], id: string): OutboxMessage<D> => ({
  definition,
  payload,
  id
})

export class Outbox extends Context.Service<
  Outbox,
  {
    /** Adds messages to the caller's transaction; they are sent within milliseconds after its commit. Outside one, at once. */
    readonly add: (messages: ReadonlyArray<OutboxMessage>) => Effect.Effect<void, DatabaseError>
    /** Wakes the relay: for who wrote rows of the outbox with SQL of his own. */
    readonly poke: () => void
    /** Rows that wait to be sent; for metrics and tests. */
    readonly waiting: Effect.Effect<number, DatabaseError>
  }
>()("outbox/Outbox") {
  /** The outbox of the service whose tables lie in `schema`, with its relay running while the layer lives. */
  static layer(schema: string) {
    return Layer.effect(
      Outbox,
      Effect.gen(function* () {
        const database = yield* Database
        const work = yield* Work
        const table = `${schema}.outbox`
        const relay = yield* makeRelay(database, work, table)
        return Outbox.of({
          add: (messages) => add(database, table, messages, relay.poke),
          poke: relay.poke,
          waiting: Effect.map(
            database.query<{ count: number }>((sql) => sql`select count(*) as count from ${sql(table)}`),
            ([row]) => row?.count ?? 0
          )
        })
      })
    )
  }
}

const add = (database: Database["Service"], table: string, messages: ReadonlyArray<OutboxMessage>, poke: () => void) =>
  messages.length === 0
    ? Effect.void
    : Effect.withFiber<void, DatabaseError>((fiber) => {
        const headers = contextHeaders(fiber.context) ?? {}
        const rows = messages.map(({ definition, payload, id }) => ({
          id,
          subject: subjectOf(definition, payload as Readonly<Record<string, unknown>>),
          payload: codecOf(definition.payload).encodeJson(payload),
          headers
        }))
        const insert = database.query(
          (sql) => sql`insert into ${sql(table)} (id, subject, payload, headers)
            select r.id, r.subject, r.payload, r.headers
            from jsonb_to_recordset(${sql.json(rows)}) as r (id text, subject text, payload jsonb, headers jsonb)
            on conflict (id) do nothing`
        )
        return Effect.andThen(insert, database.afterCommit(poke))
      })
