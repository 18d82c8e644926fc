/**
 * Leases: at most one holder at a time, and none for ever.
 *
 * Owns: taking, renewing, losing and releasing. Leaves to the holder: checking again after it got the lease that the work is still needed,
 * and fencing what it writes (a sequence value drawn from Postgres after the lease was won; a revision starts at 1 again after a wipe).
 * Built against: a holder that died (its key expires), one that was paused (its work is interrupted when it can't renew in time), and a
 * server that takes TTLs and ignores them (a self-test at start refuses it).
 */
import { randomUUID } from "node:crypto"
import { locks } from "@connect-domain/messages/buckets.ts"
import { Context, Data, Effect, Fiber, Layer, Schedule } from "effect"
import { type Bucket, type KeyConflict, Kv } from "./Kv.ts"
import { Nats, type NatsUnavailable, NatsUnusable } from "./Nats.ts"

/** Somebody else holds it (`held`), or it was lost while the work ran (`lost`): the work was interrupted, its effects may be partial. */
export class LeaseError extends Data.TaggedError("LeaseError")<{ readonly reason: "held" | "lost"; readonly name: string }> {
  override get message() {
    return `lease ${this.name}: ${this.reason}`
  }
}

export interface LeaseOptions {
  /** After this time without renewal the lease is free. At least 3. */
  readonly ttlSeconds: number
}

export class Lease extends Context.Service<
  Lease,
  {
    /**
     * Runs `effect` while holding the lease `name` (letters, digits, `-_=/.`), renewed every third of its time. `onHeld`: give up at once
     * with `LeaseError`, or wait in no particular order.
     */
    readonly withLease: <A, E, R>(
      name: string,
      options: LeaseOptions,
      effect: Effect.Effect<A, E, R>,
      onHeld?: { readonly onHeld: "fail" | "wait" }
    ) => Effect.Effect<A, E | LeaseError | NatsUnavailable, R>
    /**
     * The proof that keys expire, started with the layer and waited for by the first leases (1.5 s). Fails with `NatsUnusable` when they
     * don't: no lease is ever given then, and a service should end.
     */
    readonly selfTest: Effect.Effect<void, NatsUnusable>
  }
>()("nats/Lease") {
  static readonly layer = Layer.effect(
    Lease,
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(locks)
      const { service } = yield* Nats
      // A user that may not write leases can't test them either, and gets none.
      const test = locks.writers.some((writer) => writer === service) ? selfTest(bucket) : Effect.void
      const testing = yield* Effect.forkScoped(Effect.tapError(test, (error) => Effect.logFatal(error.message)))
      const proven = Fiber.join(testing)
      return Lease.of({
        selfTest: proven,
        withLease: (name, options, effect, onHeld) =>
          Effect.andThen(Effect.orDie(proven), withLease(bucket, name, options.ttlSeconds, effect, onHeld?.onHeld ?? "fail"))
      })
    })
  )
}

type Locks = Bucket<typeof locks.value.Type>

const entry = (holder: string, ttlSeconds: number) => ({ holder, deadline: new Date(Date.now() + ttlSeconds * 1_000).toISOString() })

const withLease = <A, E, R>(bucket: Locks, name: string, ttlSeconds: number, effect: Effect.Effect<A, E, R>, onHeld: "fail" | "wait") => {
  const holder = randomUUID()
  const held = new LeaseError({ reason: "held", name })
  const take = Effect.mapError(bucket.create(name, entry(holder, ttlSeconds), { ttlSeconds }), (error) =>
    error._tag === "KeyConflict" ? held : error
  )
  const acquire =
    onHeld === "fail"
      ? take
      : Effect.retry(take, {
          while: (error) => error._tag === "LeaseError",
          schedule: Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("500 millis")]).pipe(Schedule.jittered)
        })
  return Effect.acquireUseRelease(
    Effect.map(acquire, (revision) => ({ revision })),
    (lease) => Effect.raceFirst(effect, renew(bucket, name, holder, ttlSeconds, lease)),
    (lease) => Effect.ignore(bucket.delete(name, { revision: lease.revision }))
  )
}

/** Renews for ever; fails when the lease is somebody else's or could not be renewed in time. */
const renew = (
  bucket: Locks,
  name: string,
  holder: string,
  ttlSeconds: number,
  lease: { revision: number }
): Effect.Effect<never, LeaseError> => {
  const lost = Effect.fail(new LeaseError({ reason: "lost", name }))
  const once = Effect.suspend(() => bucket.update(name, entry(holder, ttlSeconds), lease.revision, { ttlSeconds })).pipe(
    Effect.retry({
      while: (error: KeyConflict | NatsUnavailable) => error._tag === "NatsUnavailable",
      schedule: Schedule.spaced("200 millis")
    }),
    Effect.timeoutOrElse({ duration: ttlSeconds * 500, orElse: () => lost }),
    Effect.catch(() => lost),
    Effect.tap((revision) =>
      Effect.sync(() => {
        lease.revision = revision
      })
    )
  )
  return Effect.forever(Effect.andThen(Effect.sleep((ttlSeconds * 1_000) / 3), once))
}

/** Waits for the bucket, creates a key that lives one second, and sees it gone within five. */
const selfTest = (bucket: Locks): Effect.Effect<void, NatsUnusable> => {
  const key = `_selftest.${randomUUID()}`
  const expired = Effect.map(bucket.get(key), (found) => found === undefined)
  const unusable = new NatsUnusable({ message: "this NATS server does not expire keys: leases would last for ever" })
  const attempt = Effect.gen(function* () {
    yield* bucket.put(key, entry("selftest", 1), { ttlSeconds: 1 })
    yield* Effect.sleep("1100 millis")
    for (let tries = 0; tries < 20; tries++) {
      if (yield* expired) return
      yield* Effect.sleep("200 millis")
    }
    return yield* unusable
  })
  return Effect.retry(attempt, {
    while: (error) => error._tag === "NatsUnavailable",
    schedule: Schedule.spaced("500 millis")
  }).pipe(Effect.catchTag("NatsUnavailable", () => Effect.fail(unusable)))
}
