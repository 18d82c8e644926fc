/**
 * Many certificates at once, at a CA that keeps Let's Encrypt's limits: windows moved into the past (A4), replacement by provenance (A9),
 * limits, absence and halted issuance (A3). A thousand and five thousand by command: `node bench/replace.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AcmeDouble } from "../../test/AcmeDouble.ts"
import { eventually, eventuallyEffect } from "../../test/eventually.ts"
import { holdCertificates } from "../../test/heldCertificates.ts"
import { ask, makeWorld, type World } from "../../test/World.ts"

const hour = 3_600_000

const doubleOf = (world: World) =>
  Effect.acquireRelease(
    Effect.promise(() => AcmeDouble.start(world.pebble)),
    (running) => Effect.promise(() => running.stop())
  )
const started = (world: World, double: AcmeDouble, env: Readonly<Record<string, string>> = {}) =>
  world.certifierWith({ CD_ACME_DIRECTORY: double.directory, CD_ACME_LIMITS: "letsencrypt", ...env })
/** Claims that should be served and are not, now. */
const unserved = (world: World) =>
  Effect.map(
    world.database.query(
      (sql) => sql`
        select 1 from certifier.claims c where state = 'held' and not exists (
          select from certifier.certificates t where t.claim_id = c.claim_id and t.state = 'current' and t.not_after > now())`
    ),
    (rows) => rows.length
  )
const superseded = (world: World) =>
  Effect.map(
    world.database.query<{ count: number }>(
      (sql) => sql`select count(*)::int as count from certifier.certificates where state = 'superseded'`
    ),
    (rows) => rows[0]!.count
  )
/** Waits until so many were replaced; none is ever without. */
const replaced = (world: World, count: number) =>
  eventuallyEffect(
    `${count} replaced`,
    Effect.gen(function* () {
      assert.strictEqual(yield* unserved(world), 0)
      return (yield* superseded(world)) >= count
    })
  )

describe("many at once", () => {
  it.live("A4: windows of 80 moved into the past: all replaced, each names what it replaces, none unserved, no limit met", () =>
    Effect.gen(function* () {
      const [world, count] = [yield* makeWorld(), 80]
      const double = yield* doubleOf(world)
      // One who does not name what he replaces is refused from the first order on.
      double.limit = 0
      const names = Array.from({ length: count }, (_, i) => `shop${i}.example.com`)
      const held = yield* holdCertificates(world.database, double, names)
      double.issuer.moveAll({ start: Date.now() - 2 * hour, end: Date.now() - hour })
      yield* started(world, double)
      yield* replaced(world, count)
      assert.strictEqual(double.newOrders.length, count)
      assert.deepStrictEqual(new Set(double.newOrders.map(({ replaces }) => replaces)), new Set(held.map(({ facts }) => facts.certId)))
      assert.strictEqual(double.violations, 0)
      assert.isUndefined(world.notices.find(({ change }) => change === "failed"))
    })
  )

  it.live("A4: a CA that can't take an order which names what it replaces gets one without, and only for that certificate", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const double = yield* doubleOf(world)
      const held = yield* holdCertificates(world.database, double, ["sound.example.com", "stumble.example.com"])
      const stumbling = held[1]!.facts.certId!
      double.stumblesOn.add(stumbling)
      double.issuer.moveAll({ start: Date.now() - 2 * hour, end: Date.now() - hour })
      yield* started(world, double)
      yield* replaced(world, 2)
      const named = double.newOrders.filter(({ name }) => name === "stumble.example.com").map(({ replaces }) => replaces)
      assert.deepStrictEqual(named, [stumbling, stumbling, stumbling, undefined])
      assert.strictEqual(double.newOrders.filter(({ name }) => name === "sound.example.com").length, 1)
    })
  )

  it.live("A9: all of one challenge since a time are replaced, the others left alone, those marked finish", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const double = yield* doubleOf(world)
      double.limit = 0
      const later = new Date(Date.now() + 12 * hour)
      const [since, before] = [new Date(Date.now() - 2 * hour), new Date(Date.now() - 30 * hour)]
      const named = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}${i}.example.com`)
      yield* holdCertificates(world.database, double, named("bad", 60), { challenge: "tls-alpn-01", dueAt: later })
      yield* holdCertificates(world.database, double, named("old", 20), { challenge: "tls-alpn-01", issuedAt: before, dueAt: later })
      yield* holdCertificates(world.database, double, named("fine", 20), { dueAt: later })
      yield* started(world, double)
      const filter = { ca: null, challenge: "tls-alpn-01", since: since.toISOString(), until: null, serial: null, reason: "mis-issuance" }
      assert.strictEqual(yield* world.replace({ ...filter, dry_run: true }), 60)
      assert.strictEqual(double.newOrders.length, 0)
      assert.strictEqual(yield* world.replace({ ...filter, dry_run: false }), 60)
      yield* replaced(world, 60)
      assert.isTrue(double.newOrders.every(({ name, replaces }) => name.startsWith("bad") && replaces !== undefined))
      assert.strictEqual(double.newOrders.length, 60)
      assert.strictEqual(yield* world.replace({ ...filter, dry_run: true }), 0)
    })
  )

  it.live("A3: 429 with a date, 503 with seconds, halted issuance: nobody asks too early, the order goes on, nobody fails", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const double = yield* doubleOf(world)
      yield* started(world, double)
      const issued = (name: string) =>
        Effect.gen(function* () {
          const asked = ask(name)
          yield* world.ensure(asked)
          return yield* eventually(`${name} issued`, () =>
            world.notices.find((each) => each.claim_id === asked.claim_id && each.change === "issued")
          )
        })
      // As a date here, in seconds below and in `limits.integration.test.ts`.
      const allowed = Math.ceil(Date.now() / 1000 + 2) * 1000
      const detail = "too many new orders recently"
      double.onNewOrder.push({ status: 429, type: "rateLimited", retryAfter: new Date(allowed).toUTCString(), detail })
      yield* issued("date.example.com")
      assert.strictEqual(double.newOrders.length, 2)
      assert.isAtLeast(double.newOrders[1]!.at, allowed)
      double.onNewOrder.push({ status: 503, type: "serverInternal", retryAfter: "2", detail: "down for maintenance" })
      yield* issued("away.example.com")

      double.halted = true
      const halted = ask("halted.example.com")
      yield* world.ensure(halted)
      yield* eventually("finalized", () => double.finalized.includes("halted.example.com"))
      yield* Effect.sleep("2500 millis")
      assert.isUndefined(world.notices.find((each) => each.claim_id === halted.claim_id && each.change === "issued"))
      double.halted = false
      yield* eventually("issued after the halt", () =>
        world.notices.find((each) => each.claim_id === halted.claim_id && each.change === "issued")
      )
      assert.strictEqual(double.finalized.filter((name) => name === "halted.example.com").length, 1)
      assert.isUndefined(world.notices.find(({ change }) => change === "failed"))
    })
  )
})
