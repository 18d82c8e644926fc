import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer } from "effect"
import { Database, type DatabaseError } from "./Database.ts"
import { type PostgresServer, startPostgres } from "./testing/PostgresServer.ts"

class Server extends Context.Service<Server, { readonly server: PostgresServer; readonly url: string }>()("test/Server") {
  static readonly layer = Layer.effect(
    Server,
    Effect.gen(function* () {
      const server = yield* startPostgres()
      return { server, url: yield* server.migratedDatabase }
    })
  )
}
const database = Layer.unwrap(Effect.map(Server, ({ url }) => Database.layerFor({ url, name: "test", size: 4 })))

layer(database.pipe(Layer.provideMerge(Server.layer)), { excludeTestServices: true })("Database", (it) => {
  it.effect("converts values", () =>
    Effect.gen(function* () {
      const { query } = yield* Database
      const [row] = yield* query<Record<string, unknown>>(
        (sql) => sql`select 7::bigint as big, 9007199254740993::bigint as huge, ${sql.json({ a: [1] })}::jsonb as doc,
          now() as at, ${undefined}::text as nothing, ${sql.array(["a", "b"])}::text[] as list, 'x'::text = any(${["x", "y"]}) as any`
      )
      assert.strictEqual(row?.big, 7)
      assert.strictEqual(row?.huge, "9007199254740993")
      assert.deepStrictEqual(row?.doc, { a: [1] })
      assert.instanceOf(row?.at, Date)
      assert.strictEqual(row?.nothing, null)
      assert.deepStrictEqual(row?.list, ["a", "b"])
      assert.strictEqual(row?.any, true)
    })
  )

  it.effect("arrays of every kind go in and come out", () =>
    Effect.gen(function* () {
      const { query } = yield* Database
      const texts = ["plain", "", "NULL", 'qu"ote', "back\\slash", "{a,b}", "ü, ö", null]
      const at = new Date("2026-11-23T19:00:00.000Z")
      const [row] = yield* query<Record<string, unknown>>(
        (
          sql
        ) => sql`select ${texts}::text[] as texts, ${sql.array([1, 2])}::int[] as ints, ${[]}::uuid[] as none, ${sql.array([3, 2 ** 40])}::bigint[] as bigs,
          array[true, false] as bools, array['{"a": [1]}'::jsonb] as docs, array[${at}::timestamptz] as times, ${texts[0]} = any(${texts}::text[]) as found`
      )
      assert.deepStrictEqual(row, {
        texts,
        ints: [1, 2],
        none: [],
        bigs: [3, 2 ** 40],
        bools: [true, false],
        docs: [{ a: [1] }],
        times: [at],
        found: true
      })
    })
  )

  it.effect("commits, rolls back, nests as savepoints and names the violated constraint", () =>
    Effect.gen(function* () {
      const { query, transaction, afterCommit } = yield* Database
      yield* query((sql) => sql`create table t1 (id int primary key, constraint t1_small check (id < 100))`)
      const committed: Array<string> = []
      yield* transaction(
        Effect.gen(function* () {
          yield* query((sql) => sql`insert into t1 values (1)`)
          yield* afterCommit(() => committed.push("one"))
          const inner = yield* Effect.flip(transaction(query((sql) => sql`insert into t1 values (1)`)))
          assert.strictEqual(inner.reason, "UniqueViolation")
          assert.strictEqual(inner.constraint, "t1_pkey")
          const refused = yield* Effect.flip(
            transaction(
              Effect.andThen(
                query((sql) => sql`insert into t1 values (5)`),
                Effect.fail("no")
              )
            )
          )
          assert.strictEqual(refused, "no")
          yield* query((sql) => sql`insert into t1 values (2)`)
          assert.deepStrictEqual(committed, [])
        })
      )
      assert.deepStrictEqual(committed, ["one"])
      const failed = yield* Effect.flip(
        transaction(
          Effect.andThen(
            query((sql) => sql`insert into t1 values (3)`),
            Effect.fail("boom")
          )
        )
      )
      assert.strictEqual(failed, "boom")
      const rows = yield* query<{ id: number }>((sql) => sql`select id from t1 order by id`)
      assert.deepStrictEqual(
        rows.map((row) => row.id),
        [1, 2]
      )
    })
  )

  it.effect("interruption cancels the statement on the server and rolls back", () =>
    Effect.gen(function* () {
      const { query, transaction } = yield* Database
      yield* query((sql) => sql`create table t2 (id int)`)
      const inside = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        transaction(
          Effect.gen(function* () {
            yield* query((sql) => sql`insert into t2 values (1)`)
            yield* Deferred.succeed(inside, undefined)
            yield* query((sql) => sql`select pg_sleep(60)`)
          })
        )
      )
      yield* Deferred.await(inside)
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(fiber)
      const running = yield* query(
        (sql) => sql`select 1 from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`
      )
      assert.strictEqual(running.length, 0)
      assert.strictEqual((yield* query((sql) => sql`select * from t2`)).length, 0)
    })
  )

  it.effect("transactions that are interrupted at any moment leave no connection behind", () =>
    Effect.gen(function* () {
      const { query, transaction } = yield* Database
      const one = transaction(
        Effect.andThen(
          query((sql) => sql`select 1`),
          query((sql) => sql`select 2`)
        )
      )
      for (let round = 0; round < 40; round++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () => Effect.forkChild(one, { startImmediately: true }))
        yield* Effect.sleep(round % 5)
        yield* Fiber.interruptAll(fibers)
      }
      yield* Effect.sleep("1200 millis")
      const left = yield* query(
        (sql) =>
          sql`select pid from pg_stat_activity where state like 'idle in transaction%' and state_change < now() - interval '1 second'`
      )
      assert.deepStrictEqual(left, [])
      yield* Effect.forEach(Array.from({ length: 20 }), () => one, { concurrency: "unbounded" })
    })
  )

  it.effect("is isolated from fibers outside the transaction and usable by more fibers than connections", () =>
    Effect.gen(function* () {
      const { query, transaction } = yield* Database
      yield* query((sql) => sql`create table t3 (id int)`)
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        (id) =>
          transaction(
            Effect.gen(function* () {
              yield* query((sql) => sql`insert into t3 values (${id})`)
              const [seen] = yield* query<{ n: number }>((sql) => sql`select count(*) as n from t3 where id = ${id}`)
              assert.strictEqual(seen?.n, 1)
            })
          ),
        { concurrency: "unbounded" }
      )
      const [count] = yield* query<{ n: number }>((sql) => sql`select count(*) as n from t3`)
      assert.strictEqual(count?.n, 40)
    })
  )

  it.effect("waiting for one's turn at a busy pool is no failure", () =>
    Effect.gen(function* () {
      const { query, transaction } = yield* Database
      const busy = Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        (index) => {
          const sleep = query((sql) => sql`select pg_sleep(0.35)`)
          return index % 2 === 0 ? sleep : transaction(sleep)
        },
        { concurrency: "unbounded", discard: true }
      )
      yield* busy
    })
  )

  it.effect("says Unavailable within two seconds while the server is down, in and out of transactions, and heals", () =>
    Effect.gen(function* () {
      const { server } = yield* Server
      const { query, transaction, ping } = yield* Database
      yield* query((sql) => sql`create table t4 (id int)`)
      const inside = yield* Deferred.make<void>()
      const down = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        Effect.flip(
          transaction(
            Effect.gen(function* () {
              yield* query((sql) => sql`insert into t4 values (1)`)
              yield* Deferred.succeed(inside, undefined)
              yield* Deferred.await(down)
              yield* query((sql) => sql`insert into t4 values (2)`)
            })
          )
        )
      )
      yield* Deferred.await(inside)
      yield* server.stop("SIGKILL")
      yield* Deferred.succeed(down, undefined)
      assert.strictEqual(((yield* Fiber.join(fiber)) as DatabaseError).reason, "Unavailable")
      const results = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, index) => index),
        (index) => Effect.flip(index % 2 === 0 ? query((sql) => sql`select 1`) : transaction(query((sql) => sql`select 1`))),
        { concurrency: "unbounded" }
      ).pipe(Effect.timeout("60 seconds"))
      assert.deepStrictEqual([...new Set(results.map((error) => error.reason))], ["Unavailable"])
      yield* server.start
      yield* Effect.retry(ping, { times: 20 })
      yield* Effect.forEach(Array.from({ length: 20 }), () => transaction(query((sql) => sql`insert into t4 values (3)`)), {
        concurrency: "unbounded"
      })
      assert.strictEqual((yield* query((sql) => sql`select * from t4`)).length, 20)
    })
  )

  it.effect("a server that restarts under load costs only Unavailable", () =>
    Effect.gen(function* () {
      const { server } = yield* Server
      const { query, transaction } = yield* Database
      yield* query((sql) => sql`create table t5 (id int primary key)`)
      const write = (id: number) =>
        transaction(query((sql) => sql`insert into t5 values (${id}) on conflict do nothing`)).pipe(
          Effect.retry({ while: (error) => error.reason === "Unavailable", times: 400 })
        )
      const load = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 3000 }, (_, id) => id),
          write,
          { concurrency: 20 }
        )
      )
      for (const signal of ["SIGKILL", "SIGINT", "SIGKILL"] as const) {
        yield* Effect.sleep("150 millis")
        yield* server.stop(signal)
        yield* server.start
      }
      yield* Fiber.join(load)
      const [count] = yield* query<{ n: number }>((sql) => sql`select count(*) as n from t5`)
      assert.strictEqual(count?.n, 3000)
    })
  )
})

describe("roles", () => {
  it.live("a service's role owns its schema and cannot read another's", () =>
    Effect.gen(function* () {
      const server = yield* startPostgres()
      const url = yield* server.migratedDatabase
      const context = yield* Layer.build(Database.layerFor({ url, name: "gateway", role: "cd_gateway" }))
      const { query } = Context.get(context, Database)
      const [row] = yield* query<{ who: string }>((sql) => sql`select current_user as who`)
      assert.strictEqual(row?.who, "cd_gateway")
      const denied = yield* Effect.flip(query((sql) => sql`create table lifecycle.intruder (id int)`))
      assert.strictEqual(denied.code, "42501")
    })
  )
})
