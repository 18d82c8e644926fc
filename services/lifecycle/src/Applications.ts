/**
 * What holds for all hostnames of an application, as the edges read it: the `applications` bucket, made equal to the gateway's rows.
 *
 * Owns: one entry per application (origin, settings, error page), and the copy of its origin in its connections' rows. Leaves to the
 * gateway: the rows and saying that one changed; to `Registry.ts`: what holds for one hostname.
 * Built against: ten thousand puts because one origin changed, which every other change would have to wait behind; and an old row that is
 * put over a newer one. The entry is read first, then the row, and the put holds only if the entry is still the one that was read: whoever
 * loses that race reads a row that is at least as new.
 */
import { isDeepStrictEqual } from "node:util"
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { type ApplicationEntry, applications } from "@connect-domain/messages/buckets.ts"
import { type EdgeSettings, flagsOf } from "@connect-domain/messages/edge.ts"
import { type KeyConflict, Kv, type KvEntry } from "@connect-domain/nats/Kv.ts"
import type { NatsUnavailable } from "@connect-domain/nats/Nats.ts"
import { Context, Effect, Layer } from "effect"

interface Row {
  readonly id: string
  readonly tenant_id: string
  readonly origin: string | null
  readonly edge: EdgeSettings
  readonly error_page: string | null
}

/** Applications looked at together, and connections rewritten in one transaction: a PATCH waits no longer than for these. */
const batch = 256
const rowsAtOnce = 500
const unchanged = Effect.succeed(false)
/** Below every id. */
const beforeAll = "00000000-0000-0000-0000-000000000000"

const toEntry = (row: Row): ApplicationEntry => ({
  application_id: row.id,
  tenant_id: row.tenant_id,
  origin: row.origin,
  flags: flagsOf(row.edge),
  error_page: row.error_page
})

export class Applications extends Context.Service<
  Applications,
  {
    /** Returns when the bucket says of these applications what Postgres says; one that is gone has no entry. Safe to repeat. */
    readonly publish: (ids: ReadonlyArray<string>) => Effect.Effect<void, NatsUnavailable | DatabaseError>
    /** The same for every application, and removes entries of unknown ones: for a new store, and after messages may have been lost. */
    readonly publishAll: Effect.Effect<void, NatsUnavailable | DatabaseError>
  }
>()("lifecycle/Applications") {
  static readonly layer = Layer.effect(
    Applications,
    Effect.gen(function* () {
      const db = yield* Database
      const bucket = (yield* Kv).bucket(applications)

      const readRows = (ids: ReadonlyArray<string>) =>
        Effect.map(
          db.query<Row>(
            (sql) => sql`select id, tenant_id, origin, edge, error_page from gateway.published_applications where id = any(${ids}::uuid[])`
          ),
          (rows) => new Map(rows.map((row) => [row.id, row]))
        )
      /** Whether something had to be written. */
      const reconcile = (id: string, found: KvEntry<ApplicationEntry> | undefined, row: Row | undefined) => {
        if (row === undefined) return found === undefined ? unchanged : Effect.as(bucket.delete(id, { revision: found.revision }), true)
        const entry = toEntry(row)
        if (found === undefined) return Effect.as(bucket.create(id, entry), true)
        return isDeepStrictEqual(found.value, entry) ? unchanged : Effect.as(bucket.update(id, entry, found.revision), true)
      }
      const putOnce = Effect.fnUntraced(function* (ids: ReadonlyArray<string>, written: Set<string>) {
        const found = yield* Effect.forEach(ids, (id) => bucket.get(id), { concurrency: 32 })
        const rows = yield* readRows(ids)
        const put = (id: string, index: number): Effect.Effect<unknown, NatsUnavailable | KeyConflict> =>
          Effect.map(reconcile(id, found[index], rows.get(id)), (changed) => changed && written.add(id))
        yield* Effect.forEach(ids, put, { concurrency: 32, discard: true })
      })
      const put = (ids: ReadonlyArray<string>, written: Set<string>) =>
        putOnce(ids, written).pipe(
          Effect.retry({ times: 20, while: (error) => error._tag === "KeyConflict" }),
          // Twenty writers faster than this one, each with a row at least as new.
          Effect.catchTag("KeyConflict", () => Effect.void)
        )

      /** What a hostname's entry falls back to on an edge without the application. In steps, each from where the last one ended. */
      const copyOrigin = Effect.fnUntraced(function* (id: string) {
        for (let after: string | undefined = beforeAll; after !== undefined; ) {
          const copied: ReadonlyArray<{ readonly id: string }> = yield* db.query<{ id: string }>(
            (sql) => sql`
              with behind as (
                select c.id, a.origin from lifecycle.connections c join gateway.published_applications a on a.id = c.application_id
                where c.application_id = ${id} and c.id > ${after} and c.state <> 'archived'
                  and c.application_origin is distinct from a.origin
                order by c.id limit ${rowsAtOnce} for update of c
              ), copied as (
                update lifecycle.connections c set application_origin = behind.origin from behind where c.id = behind.id returning c.id
              )
              select id from copied order by id`
          )
          after = copied.length < rowsAtOnce ? undefined : copied.at(-1)!.id
        }
      })

      /** Entries first: they are what visitors see. `written` names those whose copies may be behind. */
      const publishInto = Effect.fnUntraced(function* (ids: ReadonlyArray<string>, written: Set<string>) {
        for (let at = 0; at < ids.length; at += batch) yield* put(ids.slice(at, at + batch), written)
        yield* Effect.forEach(written, copyOrigin, { discard: true })
      })
      const publish = (ids: ReadonlyArray<string>) => publishInto(ids, new Set(ids))
      const publishAll = Effect.gen(function* () {
        const known = yield* db.query<{ id: string }>((sql) => sql`select id from gateway.published_applications order by id`)
        const stored = yield* bucket.keys
        yield* publishInto([...new Set([...known.map(({ id }) => id), ...stored])], new Set())
      })
      return Applications.of({ publish, publishAll })
    })
  )
}
