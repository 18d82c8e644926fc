/**
 * A new epoch of the registry: every row is to be put again.
 *
 * Owns: the epoch's row, what the rows of the registry say when it begins, and their versions. Leaves to `Rebuild.ts`: when and why, and the
 * transaction around it; to the relay (`Registry.ts`): the puts.
 * Built against: a database that was restored from a backup, its sequence of versions with it. Whoever has seen a higher version (the bucket, the
 * edges) would pass over everything that this database says. Rows get versions above all that were given out: above the highest in the bucket,
 * and above the time in milliseconds. Fewer than a thousand a second are given out, so that no forgotten one is higher.
 */
import type { Database } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import type { hostnames } from "@connect-domain/messages/buckets.ts"
import type { Bucket } from "@connect-domain/nats/Kv.ts"
import { Effect, Stream } from "effect"

type Db = Database["Service"]

/** So many get their version with one statement: it has a time limit. */
const rowsAtOnce = 20_000

export interface NewEpoch {
  /** The epoch that it follows, null for none; another one stands: nothing is done. Absent: whichever. */
  readonly instead?: string | null
  /** The highest version in the bucket. */
  readonly highest: number
  /** Higher ones may be remembered elsewhere. */
  readonly forgetful: boolean
}

/** Of what stands in the bucket, tombstones included. */
export const highestVersion = (bucket: Bucket<typeof hostnames.value.Type>) =>
  bucket.watch.pipe(
    Stream.takeUntil((event) => event.type === "complete"),
    Stream.runFold(
      () => 0,
      (highest: number, event) =>
        event.type === "entry" && event.value !== undefined && "version" in event.value ? Math.max(highest, event.value.version) : highest
    )
  )

/** Within a transaction; gives back the new epoch. Safe to repeat: versions only rise, and what was raised without being used is no loss. */
export const beginEpoch = Effect.fnUntraced(function* (db: Db, { instead, highest, forgetful }: NewEpoch) {
  // Nobody draws a version, to write it after ours, and no other rebuild begins until this one is committed.
  yield* db.query((sql) => sql`lock table lifecycle.registry in share row exclusive mode`)
  const [known] = yield* db.query<{ epoch: string }>((sql) => sql`select epoch from lifecycle.epoch`)
  if (instead !== undefined && (known?.epoch ?? null) !== instead) return undefined
  const [versions] = yield* db.query<{ last_value: number }>((sql) => sql`select last_value from lifecycle.versions`)
  if (forgetful || highest > versions!.last_value) yield* numberAnew(db, highest)
  else yield* db.query((sql) => sql`update lifecycle.registry set put_version = 0, put_revision = null, put_epoch = null`)
  const epoch = uuidv7()
  yield* db.query(
    (sql) => sql`insert into lifecycle.epoch (epoch, complete) values (${epoch}, false)
      on conflict (single) do update set epoch = excluded.epoch, complete = false, put_revision = 0, begun_at = now()`
  )
  return epoch
})

const numberAnew = Effect.fnUntraced(function* (db: Db, highest: number) {
  yield* db.query(
    (
      sql
    ) => sql`select setval('lifecycle.versions', greatest(last_value, ${highest}::bigint, (extract(epoch from clock_timestamp()) * 1000)::bigint))
      from lifecycle.versions`
  )
  for (let after: string | null = ""; after !== null; ) {
    const [last]: ReadonlyArray<{ readonly key: string | null }> = yield* db.query<{ key: string | null }>(
      (sql) => sql`
        with numbered as materialized (
          select key, nextval('lifecycle.versions') as version
          from (select key from lifecycle.registry where key > ${after} order by key limit ${rowsAtOnce}) k
        ), renewed as (
          update lifecycle.registry r set version = n.version, entry = r.entry || jsonb_build_object('version', n.version),
            put_version = 0, put_revision = null, put_epoch = null
          from numbered n where r.key = n.key
        ) select max(key) as key from numbered`
    )
    after = last?.key ?? null
  }
})
