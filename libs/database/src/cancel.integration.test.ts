/** Statements whose callers leave: everybody else still gets the rows of their own statement. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import { startPostgres } from "./testing/PostgresServer.ts"

const made = Effect.gen(function* () {
  const url = yield* (yield* startPostgres()).emptyDatabase
  const database = Context.get(yield* Layer.build(Database.layerFor({ url, name: "test", size: 2 })), Database)
  yield* database.query((sql) => sql`create table numbers (id int primary key)`)
  yield* database.query((sql) => sql`insert into numbers select generate_series(0, 999)`)
  return database
})

describe("interrupted statements", () => {
  it.live("never give their rows to another statement of the same connection", () =>
    Effect.gen(function* () {
      const { query } = yield* made
      const wrong: Array<readonly [number, unknown]> = []
      const ask = (id: number) =>
        Effect.gen(function* () {
          const slowly = id % 5 === 0 ? 0.001 : 0
          const rows = query<{ id: number }>((sql) => sql`select id, pg_sleep(${slowly}) from numbers where id = ${id}`)
          // A quarter of the callers leave after 0 to 3 ms, while many statements wait on each connection.
          const answer = yield* id % 4 === 0 ? Effect.timeoutOption(rows, (id % 31) / 10) : Effect.asSome(rows)
          if (answer._tag === "Some" && answer.value[0]?.id !== id) wrong.push([id, answer.value])
        })
      yield* Effect.forEach(
        Array.from({ length: 8_000 }, (_, n) => n % 1_000),
        ask,
        { concurrency: 32, discard: true }
      )
      assert.deepStrictEqual(wrong, [])
    })
  )

  it.live("a long one is still cancelled on the server, and its connection serves on", () =>
    Effect.gen(function* () {
      const { query } = yield* made
      yield* Effect.timeoutOption(
        query((sql) => sql`select pg_sleep(20)`),
        50
      )
      const running = yield* query(
        (sql) => sql`select 1 from pg_stat_activity where state = 'active' and query like '%pg_sleep(20)%' and pid <> pg_backend_pid()`
      )
      assert.strictEqual(running.length, 0)
    })
  )
})
