/**
 * Buckets: the last value per key, with revisions, expiry and watches.
 *
 * Owns: the KV protocol (NATS ADR-8, TTLs ADR-48) on top of a stream `KV_<bucket>`, with values as the bucket's schema says. Leaves to
 * `watchBucket.ts`: following a bucket; to `Lease.ts`: locks; to Postgres: the truth.
 * Built against: a put in flight at a disconnect (looked up before it is repeated), an older value written over a newer one (`update`), and
 * a reader that sees less than it wrote: use the revision that a write gives back, never a read, to know what was written.
 */
import type { BucketDefinition } from "@connect-domain/messages/definition.ts"
import { Context, Data, Effect, Layer, Result, type Stream } from "effect"
import { lastAtLeader, streamState } from "./bucketStream.ts"
import { codecOf } from "./codec.ts"
import { Nats, NatsUnavailable, unavailable } from "./Nats.ts"
import { type PublishAck, type PublishRefused, publishOnce, publishRepeatedly } from "./publish.ts"
import { bucketKeys, type WatchEvent, watchBucket } from "./watchBucket.ts"

export type { WatchEvent } from "./watchBucket.ts"

/** The key exists (`create`) or has another revision (`update`, `delete`): read again, decide again. */
export class KeyConflict extends Data.TaggedError("KeyConflict")<{ readonly bucket: string; readonly key: string }> {
  override get message() {
    return `${this.bucket}: ${this.key} has another revision`
  }
}

export interface KvEntry<V> {
  readonly value: V
  readonly revision: number
}

export interface WriteOptions {
  /** The entry disappears by itself after this time, at least one second; only in buckets with `ttl: true`. Watchers see it deleted. */
  readonly ttlSeconds?: number
}

export interface Bucket<V> {
  /** Undefined for an absent, deleted or expired key, for a text that can be none, and, logged as an error, for a value that does not fit the schema. */
  readonly get: (key: string) => Effect.Effect<KvEntry<V> | undefined, NatsUnavailable>
  /** Gives back the new revision. */
  readonly put: (key: string, value: V, options?: WriteOptions) => Effect.Effect<number, NatsUnavailable>
  /** Only when the key is absent, deleted or expired. */
  readonly create: (key: string, value: V, options?: WriteOptions) => Effect.Effect<number, NatsUnavailable | KeyConflict>
  /** Only when the key still has `revision`. */
  readonly update: (key: string, value: V, revision: number, options?: WriteOptions) => Effect.Effect<number, NatsUnavailable | KeyConflict>
  /** Nothing there is fine. With `revision`: only when the key still has it. */
  readonly delete: (key: string, options?: { readonly revision?: number }) => Effect.Effect<void, NatsUnavailable | KeyConflict>
  readonly keys: Effect.Effect<ReadonlyArray<string>, NatsUnavailable>
  /** The revision of the last write, whatever has become of it since. */
  readonly lastRevision: Effect.Effect<number, NatsUnavailable>
  /** What was written last, if it still stands and fits the schema. */
  readonly last: Effect.Effect<KvEntry<V> | undefined, NatsUnavailable>
  /**
   * The whole bucket and then every change, for ever, in order of revision. `reset`: what follows up to `complete` is the whole content,
   * whatever was not mentioned by then is gone (sent at the start, and again when the bucket was made anew or changes were missed).
   */
  readonly watch: Stream.Stream<WatchEvent<V>>
  /** The same. `onCurrent` is called whenever the bucket was asked and has nothing newer: every two seconds while it answers. */
  readonly watchTelling: (onCurrent: () => void) => Stream.Stream<WatchEvent<V>>
}

export class Kv extends Context.Service<
  Kv,
  { readonly bucket: <D extends BucketDefinition>(definition: D) => Bucket<D["value"]["Type"]> }
>()("nats/Kv") {
  static readonly layer = Layer.effect(
    Kv,
    Effect.map(Nats, (nats) => Kv.of({ bucket: (definition) => makeBucket(nats, definition) }))
  )
}

const wrongLastSequence = new Set([10071, 10164])
const operationHeader = "KV-Operation"
const expectedHeader = "Nats-Expected-Last-Subject-Sequence"
/** How long the mark of a deletion stays in a bucket with TTLs, for watchers that were away. */
const deletionMarkSeconds = 600

const keyPattern = /^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$/
/** Keys as the server takes them; a dot separates tokens. */
export const isKey = (text: string): boolean => keyPattern.test(text)

const makeBucket = <D extends BucketDefinition, V = D["value"]["Type"]>(nats: Nats["Service"], definition: D): Bucket<V> => {
  const { bucket } = definition
  const codec = codecOf(definition.value)
  const subject = (key: string) => {
    if (!isKey(key)) throw new Error(`${bucket}: not a key: ${key}`)
    return `$KV.${bucket}.${key}`
  }
  const get = (key: string) => Effect.flatMap(readRaw(nats, bucket, subject(key)), (raw) => decodeEntry<V>(codec, bucket, key, raw))
  const atLeader = <A>(ask: () => Promise<A>) =>
    Effect.tryPromise({ try: ask, catch: (cause) => unavailable(`looking at ${bucket}`, cause) })
  const watch = (onCurrent?: () => void) =>
    watchBucket<V>(nats, bucket, (data) => codec.decode(data) as Result.Result<V, string>, onCurrent)
  const write = (key: string, data: string, expected: number, headers: Record<string, string>) =>
    compareAndSet(nats, bucket, key, subject(key), data, expected, headers)
  return {
    get: (key) => (isKey(key) ? get(key) : Effect.succeed(undefined)),
    put: (key, value, options) =>
      Effect.suspend(() => publishRepeatedly(nats, subject(key), codec.encode(value), ttl(options))).pipe(Effect.map((ack) => ack.seq)),
    create: (key, value, options) =>
      Effect.suspend(() => createKey(nats, bucket, subject(key), (expected) => write(key, codec.encode(value), expected, ttl(options)))),
    update: (key, value, revision, options) => Effect.suspend(() => write(key, codec.encode(value), revision, ttl(options))),
    delete: (key, options) =>
      Effect.suspend(() => {
        const headers: Record<string, string> = definition.ttl
          ? { [operationHeader]: "PURGE", "Nats-Rollup": "sub", "Nats-TTL": `${deletionMarkSeconds}s` }
          : { [operationHeader]: "DEL" }
        return options?.revision === undefined
          ? Effect.asVoid<PublishAck, NatsUnavailable | KeyConflict, never>(publishRepeatedly(nats, subject(key), "", headers))
          : Effect.asVoid(write(key, "", options.revision, headers))
      }),
    keys: bucketKeys(nats, bucket),
    lastRevision: Effect.map(
      atLeader(() => streamState(nats, bucket)),
      ({ lastRevision }) => lastRevision
    ),
    last: Effect.flatMap(
      atLeader(() => lastAtLeader(nats, bucket)),
      (message) => decodeEntry<V>(codec, bucket, message?.key ?? "", message)
    ),
    watch: watch(),
    watchTelling: watch
  }
}

const ttl = (options: WriteOptions | undefined): Record<string, string> =>
  options?.ttlSeconds === undefined ? {} : { "Nats-TTL": `${Math.max(1, Math.ceil(options.ttlSeconds))}s` }

interface RawEntry {
  readonly data: Uint8Array
  readonly revision: number
  readonly deleted: boolean
}

/** The last message of a key: a direct get, answered by the stream without an API round through the meta layer. */
const readRaw = (nats: Nats["Service"], bucket: string, subject: string): Effect.Effect<RawEntry | undefined, NatsUnavailable> =>
  Effect.tryPromise({
    try: () => nats.request(`$JS.API.DIRECT.GET.KV_${bucket}.${subject}`, "", { timeoutMillis: 1_000 }),
    catch: (cause) => unavailable(`reading from ${bucket}`, cause)
  }).pipe(
    Effect.flatMap((reply) => {
      const { headers } = reply
      if (headers?.code === 404) return Effect.succeed(undefined)
      if (headers === undefined || headers.code !== 0) {
        return Effect.fail(new NatsUnavailable({ message: `reading from ${bucket}: ${headers?.description ?? "no headers"}` }))
      }
      const deleted = headers.get(operationHeader) !== "" || headers.get("Nats-Marker-Reason") !== ""
      return Effect.succeed({ data: reply.data, revision: Number(headers.get("Nats-Sequence")), deleted })
    }),
    Effect.retry({ times: 1 })
  )

const decodeEntry = <V>(
  codec: { readonly decode: (data: Uint8Array) => Result.Result<unknown, string> },
  bucket: string,
  key: string,
  raw: RawEntry | undefined
) => {
  if (raw === undefined || raw.deleted) return Effect.succeed(undefined)
  const value = codec.decode(raw.data)
  return Result.isSuccess(value)
    ? Effect.succeed({ value: value.success as V, revision: raw.revision })
    : Effect.as(Effect.logError(`${bucket}: the value at ${key} does not fit its schema: ${value.failure}`), undefined)
}

/** After a deletion the key has the mark's revision: that is what a creation must expect. */
const createKey = (
  nats: Nats["Service"],
  bucket: string,
  subject: string,
  write: (expected: number) => Effect.Effect<number, NatsUnavailable | KeyConflict>
) =>
  Effect.catchTag(write(0), "KeyConflict", (conflict) =>
    Effect.flatMap(readRaw(nats, bucket, subject), (raw) =>
      raw === undefined ? write(0) : raw.deleted ? write(raw.revision) : Effect.fail(conflict)
    )
  )

/** A conditional put. Without an acknowledgement the key is read: ours there means done, unchanged means again, else somebody was faster. */
const compareAndSet = (
  nats: Nats["Service"],
  bucket: string,
  key: string,
  subject: string,
  data: string,
  expected: number,
  headers: Record<string, string>
): Effect.Effect<number, NatsUnavailable | KeyConflict> => {
  const conflict = new KeyConflict({ bucket, key })
  const attempt = (left: number): Effect.Effect<number, NatsUnavailable | KeyConflict> =>
    publishOnce(nats, subject, data, { ...headers, [expectedHeader]: String(expected) }).pipe(
      Effect.map((ack) => ack.seq),
      Effect.catchTag("PublishRefused", (refused: PublishRefused) =>
        Effect.fail(wrongLastSequence.has(refused.code) ? conflict : new NatsUnavailable({ message: `${bucket}: ${refused.message}` }))
      ),
      Effect.catchTag("NatsUnavailable", (error) =>
        left === 0
          ? Effect.fail(error)
          : Effect.flatMap(readRaw(nats, bucket, subject), (raw) => {
              if (raw !== undefined && raw.revision > expected && Buffer.from(raw.data).equals(Buffer.from(data)))
                return Effect.succeed(raw.revision)
              return (raw?.revision ?? 0) === expected || (raw === undefined && expected === 0) ? attempt(left - 1) : Effect.fail(conflict)
            })
      )
    )
  return attempt(3)
}
