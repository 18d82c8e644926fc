/** One order per name whatever workers do: raced, stopped past their lease and woken, at a CA that refuses most nonces. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventuallyEffect } from "../../test/eventually.ts"
import { ask, makeWorld } from "../../test/World.ts"

describe("A1, A2: one issuance per name at a time", () => {
  it.live("A1: four processes, one stopped past its lease and woken: one order per name, and what it had is not stored", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({
        pebble: { nonceReject: 90, sleepSeconds: 3 },
        env: { CD_CERTIFIER_CONCURRENCY: "4", CD_LOG_LEVEL: "error" }
      })
      const workers = Array.from({ length: 4 }, () => world.spawnCertifier())
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const worker of workers) worker.kill("SIGKILL")
        })
      )
      // As many as there are places: nobody begins another order while one is stopped.
      const claims = Array.from({ length: 16 }, (_, i) => ask(`a1-${i}.example.com`))
      yield* Effect.forEach([...claims, ...claims, ...claims], world.ensure, { concurrency: "unbounded" })
      const placed = world.database.query<{ leased: number; placed: number }>(
        (sql) => sql`
          select count(*) filter (where leased and due_at > now())::int as leased, count(order_url)::int as placed from certifier.claims`
      )
      yield* eventuallyEffect(
        "every order placed and kept, all under way",
        Effect.map(placed, ([row]) => row!.leased > 0 && row!.placed === row!.leased),
        60
      )
      const stopped = workers[0]!
      stopped.kill("SIGSTOP")
      const issued = () => new Set(world.notices.filter(({ change }) => change === "issued").map(({ claim_id }) => claim_id)).size
      yield* eventuallyEffect(
        "everything issued by the others",
        Effect.sync(() => issued() === claims.length),
        90
      )
      const current = world.database.query<{ claim_id: string; serial: string }>(
        (sql) => sql`select claim_id, serial from certifier.certificates where state <> 'destroyed' order by claim_id`
      )
      const before = yield* current
      stopped.kill("SIGCONT")
      yield* Effect.sleep("3 seconds")
      assert.deepStrictEqual(yield* current, before)
      assert.strictEqual(before.length, claims.length)
      assert.strictEqual(world.pebble.logged("Added order"), claims.length)
      assert.strictEqual(world.notices.filter(({ change }) => change === "issued").length, claims.length)
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
