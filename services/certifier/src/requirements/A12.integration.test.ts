/** A storm of wishes for a name that can't have a certificate costs one order, and nobody else's time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../test/eventually.ts"
import { ask, makeWorld } from "../../test/World.ts"

describe("A12: failing names", () => {
  it.live("A12: 500 wishes for a failing name: one order, then its back-off; another name is not held up; A13: over is over", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      world.edge.answering = false
      const failing = ask("failing.example.com")
      yield* Effect.forEach(Array.from({ length: 500 }), () => world.ensure(failing), { concurrency: "unbounded" })
      yield* eventually("failed", () => world.notices.find((each) => each.change === "failed"))
      world.edge.answering = true
      const fine = ask("fine.example.com")
      yield* world.ensure(fine)
      yield* eventually("the other one", () => world.notices.find((each) => each.claim_id === fine.claim_id && each.change === "issued"))
      assert.strictEqual(world.pebble.logged("Added order"), 2)

      // A13: the customer leaves. Its key is destroyed, the bucket is empty, and no wish brings it back.
      yield* world.release(fine)
      yield* eventually("destroyed", () => world.notices.find((each) => each.claim_id === fine.claim_id && each.change === "destroyed"))
      yield* world.ensure(fine)
      yield* Effect.sleep("1 second")
      const keys = yield* world.database.query((sql) => sql`select 1 from certifier.certificates where key_sealed is not null`)
      assert.deepStrictEqual([keys.length, (yield* world.bucketKeys).length, world.pebble.logged("Added order")], [0, 0, 2])
    })
  )
})
