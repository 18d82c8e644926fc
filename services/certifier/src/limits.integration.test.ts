/** A CA that says no for a while: nobody asks too early, the next CA steps in, renewals stay where they are exempt. */
import { writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually, eventuallyEffect } from "../test/eventually.ts"
import { HostileProxy } from "../test/HostileProxy.ts"
import { Pebble } from "../test/Pebble.ts"
import { ask, makeWorld, type World } from "../test/World.ts"

const proxyOf = (world: World) =>
  Effect.acquireRelease(
    Effect.promise(() => HostileProxy.start(world.pebble)),
    (proxy) => Effect.promise(() => proxy.stop())
  )

const notice = (world: World, claimId: string, change: string) =>
  eventually(`${change} of ${claimId}`, () => world.notices.find((each) => each.claim_id === claimId && each.change === change))

const issuedCount = (world: World) => world.notices.filter((each) => each.change === "issued").length

describe("limits", () => {
  it.live("A3: 429 with Retry-After, in seconds and as a date: no order before its time, and nobody fails", () =>
    Effect.gen(function* () {
      // A refused nonce is a second request of the same order, and requests are counted here.
      const world = yield* makeWorld({ pebble: { nonceReject: 0 } })
      const proxy = yield* proxyOf(world)
      yield* world.certifierWith({ CD_ACME_DIRECTORY: proxy.directory })
      for (const form of ["seconds", "date"]) {
        const detail = "too many new orders (300) from this account in the last 3h0m0s"
        const allowed = Math.ceil(Date.now() / 1000 + 2) * 1000
        const retryAfter = form === "seconds" ? String(Math.ceil((allowed - Date.now()) / 1000)) : new Date(allowed).toUTCString()
        proxy.onNewOrder.push({ status: 429, retryAfter, detail })
        proxy.newOrders.length = 0
        const claims = Array.from({ length: 4 }, (_, i) => ask(`${form}${i}.example.com`))
        yield* world.ensure(claims[0]!)
        yield* eventually("refused once", () => proxy.newOrders.length === 1)
        yield* notice(world, claims[0]!.claim_id, "pending")
        // The pause is for all: these are not even tried.
        yield* Effect.forEach(claims.slice(1), world.ensure)
        yield* Effect.forEach(claims, (claim) => notice(world, claim.claim_id, "issued"))
        for (const at of proxy.newOrders.slice(1)) assert.isAtLeast(at, allowed)
        assert.strictEqual(proxy.newOrders.length, 5)
      }
      assert.isUndefined(world.notices.find((each) => each.change === "failed"))
    })
  )

  it.live("A3: our own budgets hold a fleet within the limit, and the rest follows when there is room", () =>
    Effect.gen(function* () {
      const file = join(tmpdir(), `limits-${uuidv7()}.json`)
      writeFileSync(file, JSON.stringify([{ name: "new-orders", per: "account", counts: "orders", max: 5, window_seconds: 20 }]))
      const world = yield* makeWorld({ env: { CD_ACME_LIMITS: file } })
      yield* Effect.all([world.certifier, world.certifier, world.certifier])
      const claims = Array.from({ length: 8 }, (_, i) => ask(`budget${i}.example.com`))
      yield* Effect.forEach(claims, world.ensure, { concurrency: "unbounded" })
      yield* eventually("five of eight", () => issuedCount(world) === 5)
      yield* Effect.sleep("2 seconds")
      assert.strictEqual(world.pebble.logged("Added order"), 5)
      // A renewal names what it replaces and is exempt.
      const first = world.notices.find((each) => each.change === "issued")!
      yield* world.database.query(
        (
          sql
        ) => sql`update certifier.claims set window_start = now() - interval '2 days', window_end = now() - interval '1 day', due_at = now()
          where claim_id = ${first.claim_id}`
      )
      yield* world.ensure(claims.find((claim) => claim.claim_id === first.claim_id)!)
      yield* notice(world, first.claim_id, "renewed")
      yield* eventually("all eight", () => issuedCount(world) >= 8)
    })
  )

  it.live("A8: the second CA steps in while the first is away, and renewals go back to who issued", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const backup = yield* Effect.acquireRelease(
        Effect.promise(() => Pebble.start({ httpPort: world.pebble.httpPort, trust: world.pebble })),
        (running) => Effect.promise(() => running.stop())
      )
      yield* world.certifierWith({ CD_ACME_DIRECTORY: `${world.pebble.directory},${backup.directory}` })
      const [one, two] = [ask("one.example.com"), ask("two.example.com")]
      yield* world.ensure(one)
      assert.strictEqual((yield* notice(world, one.claim_id, "issued")).certificate.ca, new URL(world.pebble.directory).host)
      yield* Effect.promise(() => world.pebble.stopCa())
      yield* world.ensure(two)
      assert.strictEqual((yield* notice(world, two.claim_id, "issued")).certificate.ca, new URL(backup.directory).host)
      assert.isUndefined(world.notices.find((each) => each.change === "failed"))

      // Served and in no hurry: a renewal waits for its own CA.
      const renewNow = world.database.query(
        (
          sql
        ) => sql`update certifier.claims set window_start = now() - interval '2 days', window_end = now() - interval '1 day', due_at = now()
          where claim_id = ${one.claim_id}`
      )
      yield* renewNow
      yield* world.ensure(one)
      yield* eventuallyEffect(
        "a failed renewal",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where claim_id = ${one.claim_id} and failures > 0`),
          (rows) => rows.length > 0
        )
      )
      yield* Effect.promise(() => world.pebble.startCa())
      assert.strictEqual((yield* notice(world, one.claim_id, "renewed")).certificate.ca, new URL(world.pebble.directory).host)
    })
  )
})
