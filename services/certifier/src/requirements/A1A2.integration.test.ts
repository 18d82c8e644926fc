/**
 * One order per name whatever workers do: raced, stopped past their lease and woken, at a CA that refuses most nonces. At the size that A1
 * names: `node bench/race.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventuallyEffect } from "../../test/eventually.ts"
import { raceEnv, raceWorkers } from "../../test/raceWorkers.ts"
import { ask, makeWorld } from "../../test/World.ts"

describe("A1, A2: one issuance per name at a time", () => {
  it.live("A1: four processes, one stopped past its lease and woken: one order per name, and what it had is not stored", () =>
    Effect.gen(function* () {
      const [processes, names] = [4, 16]
      const world = yield* makeWorld({ pebble: { nonceReject: 90, sleepSeconds: 3 }, env: raceEnv(processes, names) })
      const { orders, certificates, foreign, notices } = yield* raceWorkers(world, processes, names, 90)
      assert.deepStrictEqual({ orders, certificates, foreign, notices }, { orders: names, certificates: names, foreign: 0, notices: names })
    })
  )

  it.live("A2: what is fresh inside the lease is not ordered again: twenty askers, one certificate", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* Effect.all([world.certifier, world.certifier, world.certifier])
      const asked = ask("a2.example.com")
      const racing = Effect.forEach(Array.from({ length: 20 }), () => world.ensure(asked), { concurrency: "unbounded" })
      yield* racing
      yield* eventuallyEffect(
        "issued",
        Effect.sync(() => world.notices.some(({ change }) => change === "issued"))
      )
      yield* racing
      yield* eventuallyEffect(
        "everybody answered",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where answer_owed or leased`),
          (rows) => rows.length === 0
        )
      )
      assert.strictEqual(world.pebble.logged("Issued certificate serial"), 1)
      assert.strictEqual(world.pebble.logged("Added order"), 1)
    })
  )
})
