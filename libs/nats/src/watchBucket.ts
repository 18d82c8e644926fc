/**
 * Following a bucket: its content, then every change, through every kind of interruption.
 *
 * Owns: turning messages into events, and the whole-content protocol (`reset` … `complete`). Leaves to `readBucket.ts`: reading in order
 * and noticing what went wrong.
 */
import { Deferred, Effect, Queue, Result, Stream } from "effect"
import { type Nats, NatsUnavailable } from "./Nats.ts"
import { readBucket } from "./readBucket.ts"

/** Of a class, as `BucketMessage` is and for its reason. */
class BucketEntry<V> {
  readonly type = "entry"
  readonly key: string
  /** Undefined: deleted or expired. */
  readonly value: V | undefined
  readonly revision: number

  constructor(key: string, value: V | undefined, revision: number) {
    this.key = key
    this.value = value
    this.revision = revision
  }
}

export type WatchEvent<V> =
  /** What follows up to `complete` is the whole content. */
  | { readonly type: "reset" }
  | BucketEntry<V>
  /** The whole content as of `revision` has been told. */
  | { readonly type: "complete"; readonly revision: number }

export const watchBucket = <V>(
  nats: Nats["Service"],
  bucket: string,
  decode: (data: Uint8Array) => Result.Result<V, string>,
  onCurrent?: () => void
): Stream.Stream<WatchEvent<V>> =>
  Stream.callback<WatchEvent<V>>((queue) =>
    Effect.flatMap(Effect.context<never>(), (context) => {
      const unusable = (key: string, why: string) =>
        Effect.runForkWith(context)(Effect.logError(`${bucket}: the value at ${key} does not fit its schema and is passed over: ${why}`))
      return readBucket(nats, bucket, {
        onCurrent,
        onReset: () => void Queue.offerUnsafe(queue, { type: "reset" }),
        onComplete: (revision) => void Queue.offerUnsafe(queue, { type: "complete", revision }),
        onMessage: ({ key, data, revision, deleted }) => {
          const value = deleted ? Result.succeed(undefined) : decode(data)
          if (Result.isFailure(value)) unusable(key, value.failure)
          else Queue.offerUnsafe(queue, new BucketEntry(key, value.success, revision))
        }
      })
    })
  )

/** The keys that stand in the bucket now. */
export const bucketKeys = (nats: Nats["Service"], bucket: string): Effect.Effect<ReadonlyArray<string>, NatsUnavailable> =>
  Effect.gen(function* () {
    const keys = new Set<string>()
    const done = yield* Deferred.make<ReadonlyArray<string>>()
    yield* readBucket(nats, bucket, {
      onReset: () => keys.clear(),
      onMessage: ({ key, deleted }) => void (deleted ? keys.delete(key) : keys.add(key)),
      onComplete: () => Deferred.doneUnsafe(done, Effect.succeed([...keys]))
    })
    return yield* Deferred.await(done)
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: "30 seconds",
      orElse: () => Effect.fail(new NatsUnavailable({ message: `the keys of ${bucket} could not be listed within 30 s` }))
    })
  )
