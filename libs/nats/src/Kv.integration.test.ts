import { challenges, hostnames, locks, metaKey } from "@connect-domain/messages/buckets.ts"
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { Kv, type WatchEvent } from "./Kv.ts"
import { Lease } from "./Lease.ts"
import { messaging } from "./messaging.ts"
import { provision } from "./provision.ts"
import { type NatsServer, startNats } from "./testing/NatsServer.ts"

class Server extends Context.Service<Server, NatsServer>()("test/NatsServer") {
  static readonly layer = Layer.effect(Server, startNats())
}
const connected = Layer.unwrap(Effect.map(Server, ({ config }) => messaging("lifecycle").pipe(Layer.provide(config))))
const provisioned = Layer.provideMerge(Layer.effectDiscard(provision), connected)

const meta = (count: number) => ({ epoch: "e", complete: true, count })
const token = (name: string) => ({ token: name, hostname: "a.test", key_authorization: "k" })

/** Keeps a map as a watcher must, and says when it was complete. */
const follow = <V>(watch: Stream.Stream<WatchEvent<V>>) =>
  Effect.gen(function* () {
    const state = { map: new Map<string, V>(), revision: 0, resets: 0, completes: 0 }
    let fresh: Map<string, V> | undefined
    yield* Stream.runForEach(watch, (event) =>
      Effect.sync(() => {
        if (event.type === "reset") {
          fresh = new Map()
          state.resets++
        } else if (event.type === "complete") {
          state.map = fresh ?? state.map
          fresh = undefined
          state.completes++
          state.revision = event.revision
        } else {
          const target = fresh ?? state.map
          event.value === undefined ? target.delete(event.key) : target.set(event.key, event.value)
          state.revision = event.revision
        }
      })
    ).pipe(Effect.forkScoped)
    return state
  })

const until = (what: string, condition: () => boolean) =>
  Effect.retry(
    Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), Effect.fail(what)))),
    { times: 3_000 }
  )

layer(provisioned.pipe(Layer.provideMerge(Server.layer)), { excludeTestServices: true })("Kv", (it) => {
  it.effect("get, put, create, update, delete, keys", () =>
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(hostnames)
      assert.strictEqual(yield* bucket.get("com.example"), undefined)
      assert.deepStrictEqual(yield* bucket.keys, [])
      assert.strictEqual(yield* bucket.last, undefined)
      const first = yield* bucket.create("com.example", meta(1))
      assert.deepStrictEqual(yield* bucket.get("com.example"), { value: meta(1), revision: first })
      assert.strictEqual((yield* Effect.flip(bucket.create("com.example", meta(2))))._tag, "KeyConflict")
      const second = yield* bucket.update("com.example", meta(2), first)
      assert.strictEqual((yield* Effect.flip(bucket.update("com.example", meta(3), first)))._tag, "KeyConflict")
      assert.isAbove(second, first)
      assert.strictEqual((yield* Effect.flip(bucket.delete("com.example", { revision: first })))._tag, "KeyConflict")
      assert.deepStrictEqual(yield* bucket.last, { value: meta(2), revision: second })
      const third = yield* bucket.put(metaKey, meta(3))
      assert.isAbove(third, second)
      assert.deepStrictEqual(yield* bucket.last, { value: meta(3), revision: third })
      assert.strictEqual(yield* bucket.lastRevision, third)
      assert.deepStrictEqual([...(yield* bucket.keys)].sort(), ["_meta", "com.example"])
      yield* bucket.delete("com.example")
      assert.strictEqual(yield* bucket.get("com.example"), undefined)
      assert.deepStrictEqual(yield* bucket.keys, ["_meta"])
      yield* bucket.create("com.example", meta(4))
      yield* bucket.delete("com.example")
      yield* bucket.delete(metaKey)
      assert.strictEqual(yield* bucket.last, undefined)
    })
  )

  it.effect("entries expire and watchers see it", () =>
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(challenges)
      const state = yield* follow(bucket.watch)
      yield* bucket.put("short", token("short"), { ttlSeconds: 1 })
      yield* bucket.put("long", token("long"), { ttlSeconds: 900 })
      yield* until("both", () => state.map.size === 2)
      yield* until("expiry", () => !state.map.has("short"))
      assert.strictEqual(yield* bucket.get("short"), undefined)
      assert.isTrue(state.map.has("long"))
      yield* bucket.create("short", token("again"), { ttlSeconds: 900 })
      yield* bucket.delete("short")
      yield* bucket.delete("long")
      yield* until("deletion", () => state.map.size === 0)
    })
  )

  it.effect("a watch tells the whole content, then changes, and completes on an empty bucket", () =>
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(hostnames)
      const empty = yield* follow((yield* Kv).bucket(locks).watch)
      yield* until("complete", () => empty.completes === 1)
      yield* Effect.forEach(
        Array.from({ length: 500 }, (_, i) => i),
        (i) => bucket.put(`com.n${i}`, meta(i)),
        { concurrency: 50 }
      )
      const state = yield* follow(bucket.watch)
      yield* until("complete", () => state.completes === 1)
      assert.strictEqual(state.map.size, 500)
      const revision = yield* bucket.put("com.n7", meta(7_000))
      yield* until("change", () => state.revision === revision)
      assert.deepStrictEqual(state.map.get("com.n7"), meta(7_000))
      assert.strictEqual(state.resets, 1)
    })
  )

  it.effect("a watch of thousands of keys, many of them written again, lets others have their turn", () =>
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(challenges)
      const numbers = Array.from({ length: 2_500 }, (_, at) => at)
      const again = numbers.filter((at) => at < 40 || (at > 900 && at < 1_700))
      for (const written of [numbers, again]) {
        yield* Effect.forEach(written, (at) => bucket.put(`many-${at}`, token(`many-${at}`)), { concurrency: 100, discard: true })
      }
      let turn = 0
      const ticker = yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => turn++)
          )
        )
      )
      const perTurn = new Map<number, number>()
      const seen = new Set<string>()
      yield* bucket.watch.pipe(
        Stream.takeUntil((event) => event.type === "complete"),
        Stream.runForEach((event) =>
          Effect.sync(() => {
            if (event.type !== "entry") return
            if (event.key.startsWith("many-")) seen.add(event.key)
            perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1)
          })
        )
      )
      yield* Fiber.interrupt(ticker)
      assert.strictEqual(seen.size, numbers.length)
      assert.isAtMost(Math.max(...perTurn.values()), 200)
      yield* Effect.forEach(numbers, (at) => bucket.delete(`many-${at}`), { concurrency: 100, discard: true })
    })
  )

  it.effect("a watch equals the bucket after kills and restarts under writes, and starts anew after a wipe", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const bucket = (yield* Kv).bucket(hostnames)
      const state = yield* follow(bucket.watch)
      yield* until("complete", () => state.completes === 1)
      let counter = 0
      const writer = yield* Effect.forkChild(
        Effect.forever(
          Effect.suspend(() => Effect.ignore(bucket.put(`org.k${counter++ % 50}`, meta(counter)))).pipe(
            Effect.andThen(Effect.sleep("1 millis"))
          )
        )
      )
      for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
        yield* Effect.sleep("300 millis")
        yield* server.stop(signal)
        yield* server.start
      }
      yield* Effect.sleep("300 millis")
      yield* Fiber.interrupt(writer)
      const last = yield* Effect.retry(bucket.put("org.last", meta(1)), { times: 10 })
      yield* until("caught up", () => state.revision >= last)
      const keys = yield* bucket.keys
      assert.deepStrictEqual([...state.map.keys()].sort(), [...keys].sort())
      for (const key of keys) assert.deepStrictEqual((yield* bucket.get(key))?.value, state.map.get(key), key)
      yield* server.stop("SIGTERM")
      yield* server.wipe
      yield* server.start
      yield* provision
      yield* bucket.put("net.fresh", meta(9))
      yield* until("the new bucket", () => state.map.has("net.fresh") && state.map.size === 1)
    })
  )

  it.effect("TTLs are proven", () => Effect.flatMap(Lease, ({ selfTest }) => selfTest))

  it.effect("a lease has one holder, is renewed, released, and lost when taken away", () =>
    Effect.gen(function* () {
      const { withLease } = yield* Lease
      const bucket = (yield* Kv).bucket(locks)
      let inside = 0
      let most = 0
      const work = Effect.gen(function* () {
        most = Math.max(most, ++inside)
        yield* Effect.sleep("5 millis")
        inside--
      })
      yield* Effect.forEach(Array.from({ length: 20 }), () => withLease("zone/a.test", { ttlSeconds: 3 }, work, { onHeld: "wait" }), {
        concurrency: "unbounded"
      })
      assert.strictEqual(most, 1)
      const started = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(
        Effect.exit(withLease("long", { ttlSeconds: 3 }, Effect.andThen(Deferred.succeed(started, undefined), Effect.sleep("4500 millis"))))
      )
      yield* Deferred.await(started)
      assert.strictEqual((yield* Effect.flip(withLease("long", { ttlSeconds: 3 }, Effect.void)))._tag, "LeaseError")
      yield* Effect.sleep("3800 millis")
      assert.strictEqual((yield* Effect.flip(withLease("long", { ttlSeconds: 3 }, Effect.void)))._tag, "LeaseError")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(holder)))
      yield* withLease("long", { ttlSeconds: 3 }, Effect.void)
      const begun = yield* Deferred.make<void>()
      const robbed = yield* Effect.forkChild(
        Effect.flip(withLease("robbed", { ttlSeconds: 3 }, Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)))
      )
      yield* Deferred.await(begun)
      yield* bucket.put("robbed", { holder: "thief", deadline: "now" }, { ttlSeconds: 60 })
      const error = yield* Fiber.join(robbed)
      assert.strictEqual(error._tag === "LeaseError" && error.reason, "lost")
      assert.strictEqual((yield* bucket.get("robbed"))?.value.holder, "thief")
    })
  )
})
