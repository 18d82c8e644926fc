/**
 * The relay of the hostname registry: what Postgres says of each name, put into the `hostnames` bucket.
 *
 * Owns: putting dirty rows, only upwards, and `_meta` when a rebuild is complete. Leaves to the connection actor: what a row says; to the
 * edges: applying it. A name that waits to go live is announced: when the connected edges have its put, its actor is told.
 * Built against: a late put that revives an archived name (compare-and-swap on the revision, versions only grow), a crash between commit
 * and put (the row stays dirty), an empty bucket that is taken for an empty registry (`_meta` is written last), and a bucket or a database
 * that went back to an older copy (what is put shows it: `Rebuild.ts` begins again).
 */
import { isDeepStrictEqual } from "node:util"
import { Database } from "@connect-domain/database/Database.ts"
import { type HostnameEntry, hostnames, metaKey } from "@connect-domain/messages/buckets.ts"
import { type Bucket, Kv } from "@connect-domain/nats/Kv.ts"
import { Effect, FiberMap, Schedule } from "effect"
import { ConnectionActor } from "./ConnectionActor.ts"
import { Edges } from "./Edges.ts"
import { Rebuild } from "./Rebuild.ts"
import { Wake } from "./Wake.ts"
import { databaseOlder, natsLost } from "./wentBack.ts"

interface DirtyRow {
  readonly key: string
  readonly entry: HostnameEntry
  readonly version: number
  readonly put_revision: number | null
  /** Its connection waits for the edges. */
  readonly awaited: boolean
}
interface PutRow {
  readonly key: string
  readonly version: number
  readonly put_revision: number
}
interface Put {
  readonly row: PutRow
  /** It was written just now; else the bucket had this version or a newer one. */
  readonly written: boolean
  /** The version that stands in the bucket. */
  readonly stands: number
}
interface Epoch {
  readonly epoch: string
  readonly complete: boolean
  readonly put_revision: number
}

const batch = 256
/** Without being woken: for rows that another replica left behind. */
const idle = "1 second"

export const relayRegistry = Effect.gen(function* () {
  const db = yield* Database
  const bucket = (yield* Kv).bucket(hostnames)
  const { registry: wake } = yield* Wake
  const { beginAgain } = yield* Rebuild
  const announce = yield* makeAnnounce

  const readEpoch = Effect.map(
    db.query<Epoch>((sql) => sql`select epoch, complete, put_revision from lifecycle.epoch`),
    ([row]) => row
  )
  const readDirty = db.query<DirtyRow>(
    (sql) => sql`
      select r.key, r.entry, r.version, r.put_revision, coalesce(c.state = 'issuing_cert' and c.certificate_id is not null, false) as awaited
      from lifecycle.registry r left join lifecycle.connections c on c.id = (r.entry ->> 'connection_id')::uuid
      where r.version > r.put_version order by r.version limit ${batch}`
  )
  const markPut = Effect.fnUntraced(function* (rows: ReadonlyArray<PutRow>, epoch: string) {
    yield* db.query(
      (sql) => sql`
        update lifecycle.registry r set put_version = x.version, put_revision = x.put_revision, put_epoch = ${epoch}
        from jsonb_to_recordset(${sql.json(rows)}) as x(key text, version bigint, put_revision bigint)
        where r.key = x.key and r.put_version < x.version and exists (select 1 from lifecycle.epoch where epoch = ${epoch})`
    )
    const highest = Math.max(...rows.map(({ put_revision }) => put_revision))
    yield* db.query((sql) => sql`update lifecycle.epoch set put_revision = ${highest} where epoch = ${epoch} and put_revision < ${highest}`)
  })
  /** Written below what was acknowledged before, or stands above every version that was ever given out: one side went back to an older copy. */
  const showsOlder = Effect.fnUntraced(function* (puts: ReadonlyArray<Put>, known: Epoch) {
    if (puts.some(({ written, row }) => written && row.put_revision <= known.put_revision)) return natsLost
    const ahead = puts.filter(({ stands, row }) => stands > row.version).map(({ stands }) => stands)
    if (ahead.length === 0) return undefined
    const [versions] = yield* db.query<{ last_value: number }>((sql) => sql`select last_value from lifecycle.versions`)
    return versions !== undefined && Math.max(...ahead) > versions.last_value ? databaseOlder : undefined
  })
  /** Under the epoch's lock, so that another rebuild that begins meanwhile has its `_meta` after ours. */
  const complete = Effect.fnUntraced(function* ({ epoch }: Epoch) {
    const [current] = yield* db.query<Epoch>((sql) => sql`select epoch, complete, put_revision from lifecycle.epoch for update`)
    if (current?.epoch !== epoch) return
    const [held] = yield* db.query<{ count: number }>(
      (sql) => sql`select count(*) as count from lifecycle.registry where entry ->> 'status' = 'held'`
    )
    const revision = yield* bucket.put(metaKey, { epoch, complete: true, count: held?.count ?? 0 })
    yield* db.query((sql) => sql`update lifecycle.epoch set complete = true, put_revision = greatest(put_revision, ${revision}::bigint)`)
    yield* Effect.logInfo("the registry is complete", { epoch, hostnames: held?.count ?? 0 })
  }, db.transaction)
  /** Keys that no row knows: left by a database that was restored from a backup, or planted. */
  const weed = Effect.gen(function* () {
    const keys = yield* bucket.keys
    const known = yield* db.query<{ key: string }>((sql) => sql`select key from lifecycle.registry where key = any(${keys}::text[])`)
    const kept = new Set([metaKey, ...known.map(({ key }) => key)])
    const strangers = keys.filter((key) => !kept.has(key))
    yield* Effect.forEach(strangers, (key) => bucket.delete(key), { concurrency: 16, discard: true })
    if (strangers.length > 0) yield* Effect.logWarning(`${strangers.length} registry entries that nobody holds were removed`)
  })

  const once = Effect.gen(function* () {
    const epoch = yield* readEpoch
    if (epoch === undefined) return yield* Effect.timeoutOption(wake.wait, idle)
    const dirty = yield* readDirty
    const puts = yield* Effect.forEach(dirty, (row) => putUpwards(bucket, row), { concurrency: 64 })
    const why = yield* showsOlder(puts, epoch)
    if (why !== undefined) return yield* beginAgain(why, epoch.epoch)
    const put = puts.map(({ row }) => row)
    if (put.length > 0) yield* markPut(put, epoch.epoch)
    for (const [index, row] of dirty.entries()) {
      if (row.awaited) yield* announce(row.entry, { epoch: epoch.epoch, revision: put[index]!.put_revision })
    }
    if (dirty.length === batch) return
    if (!epoch.complete) return yield* Effect.andThen(weed, complete(epoch))
    yield* Effect.timeoutOption(wake.wait, idle)
  })
  const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")])
  yield* Effect.forever(once).pipe(
    Effect.tapError((error) => Effect.logWarning(`the registry's relay waits: ${error.message}`)),
    Effect.retry(backoff),
    Effect.forkScoped
  )
})

/** Tells a connection when the edges have what was put; a later put replaces the wait for an earlier one. */
const makeAnnounce = Effect.gen(function* () {
  const edges = yield* Edges
  const actor = yield* ConnectionActor
  const waits = yield* FiberMap.make<string>()
  return ({ connection_id: id, certificate_id }: HostnameEntry, position: { readonly epoch: string; readonly revision: number }) =>
    certificate_id === null
      ? Effect.void
      : FiberMap.run(
          waits,
          id,
          Effect.andThen(edges.applied(position), actor.tell({ id, command: { name: "EdgesReported", certificate_id } })).pipe(
            // The deadline of the connection asks again.
            Effect.catch((error) => Effect.logWarning(`${id} could not be told that the edges are ready: ${error.message}`)),
            Effect.annotateLogs("connection_id", id)
          )
        )
})

/** Puts the row's entry unless the bucket has a newer one; gives back the revision that carries at least this version. */
const putUpwards = (bucket: Bucket<typeof hostnames.value.Type>, { key, version, entry, put_revision }: DirtyRow) => {
  const wrote = (revision: number): Put => ({ row: { key, version, put_revision: revision }, written: true, stands: version })
  const compareAndPut = Effect.gen(function* () {
    const found = yield* bucket.get(key)
    if (found === undefined) return wrote(yield* bucket.create(key, entry))
    if ("version" in found.value && (found.value.version > version || isDeepStrictEqual(found.value, entry))) {
      return { row: { key, version, put_revision: found.revision }, written: false, stands: found.value.version } satisfies Put
    }
    return wrote(yield* bucket.update(key, entry, found.revision))
  })
  const atOnce = put_revision === null ? bucket.create(key, entry) : bucket.update(key, entry, put_revision)
  return atOnce.pipe(
    Effect.map(wrote),
    Effect.catchTag("KeyConflict", () => Effect.retry(compareAndPut, { times: 5, while: (error) => error._tag === "KeyConflict" }))
  )
}
