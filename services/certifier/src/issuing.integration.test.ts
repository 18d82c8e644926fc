/** From "this claim shall have a certificate" to the bucket, on real servers; one order whatever happens in between. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { certificates } from "@connect-domain/messages/buckets.ts"
import { parseKeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { eventually, eventuallyEffect } from "../test/eventually.ts"
import { ordersAt } from "../test/outcomes.ts"
import { ask, makeWorld, type World } from "../test/World.ts"

const noticeOf = (world: World, claimId: string, ...changes: ReadonlyArray<string>) =>
  eventually(`${changes} of ${claimId}`, () =>
    world.notices.find((notice) => notice.claim_id === claimId && changes.includes(notice.change))
  )

const issuedBy = (world: World) => world.pebble.logged("Issued certificate serial")

describe("issuing", () => {
  it.live("ensure → order → sealed in Postgres and bucket → notice; an edge can open the key; release destroys it", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { nonceReject: 30 }, edgeLagMillis: 30 })
      yield* world.certifier
      const asked = ask("shop.example.com")
      yield* world.ensure(asked)
      const notice = yield* noticeOf(world, asked.claim_id, "issued", "failed")
      assert.strictEqual(notice.change, "issued")
      assert.strictEqual(notice.certificate.status, "issued")
      const entry = (yield* world.kv.bucket(certificates).get(notice.certificate_id!))!.value
      assert.deepStrictEqual(entry.hostnames, ["shop.example.com"])
      assert.strictEqual(entry.claim_id, asked.claim_id)
      assert.strictEqual(entry.serial, notice.certificate.serial)

      const vault = makeVault(Result.getOrThrow(parseKeyRing(world.env.EDGE_KEK!)))
      const place = { tenant: asked.claim_id, table: "certificates", column: "key", row: entry.certificate_id }
      const keyPem = Result.getOrThrow(vault.openText(entry.sealed_key, place))
      assert.isTrue(new X509Certificate(entry.chain).checkPrivateKey(createPrivateKey(keyPem)))

      // Asked again: no order, the same answer.
      yield* world.ensure(asked)
      yield* eventually("the second answer", () => world.notices.filter((each) => each.claim_id === asked.claim_id).length === 2)
      assert.strictEqual(world.notices.at(-1)!.certificate_id, notice.certificate_id)
      assert.strictEqual(issuedBy(world), 1)
      yield* eventually("the token is gone from the edge", () => world.edge.applied.size === 0)

      // How the proof went is remembered for as long as the claim is.
      const remembered = world.database.query((sql) => sql`select method from certifier.challenge_memory`)
      assert.deepStrictEqual([...(yield* remembered)], [{ method: "http-01" }])
      yield* world.release(asked)
      const destroyed = yield* noticeOf(world, asked.claim_id, "destroyed")
      assert.strictEqual(destroyed.certificate_id, null)
      assert.deepStrictEqual(yield* world.bucketKeys, [])
      const rows = yield* world.database.query<{ state: string; key_sealed: string | null }>(
        (sql) => sql`select state, key_sealed from certifier.certificates`
      )
      assert.deepStrictEqual([...rows], [{ state: "destroyed", key_sealed: null }])
      assert.deepStrictEqual(yield* remembered, [])

      // A late ensure of the same claim finds it released.
      yield* world.ensure(asked)
      const other = ask("other.example.com", "test")
      yield* world.ensure(other)
      yield* noticeOf(world, other.claim_id, "issued")
      assert.strictEqual(issuedBy(world), 2)
    })
  )

  it.live("A1: eight certifiers and many askers: one order per claim", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { nonceReject: 20 } })
      yield* Effect.all(
        Array.from({ length: 8 }, () => world.certifier),
        { concurrency: 2 }
      )
      const claims = Array.from({ length: 12 }, (_, i) => ask(`race${i}.example.com`))
      yield* Effect.forEach(
        claims.flatMap((claim) => [claim, claim, claim, claim, claim]),
        world.ensure,
        { concurrency: "unbounded" }
      )
      yield* Effect.forEach(claims, (claim) => noticeOf(world, claim.claim_id, "issued"), { concurrency: "unbounded" })
      assert.strictEqual(issuedBy(world), claims.length)
      assert.strictEqual((yield* world.bucketKeys).length, claims.length)
      const accounts = yield* world.database.query((sql) => sql`select kid from certifier.accounts`)
      assert.strictEqual(accounts.length, 1)
    })
  )

  it.live("A1: killed in the middle of an order: the order is resumed, not placed again", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const asked = ask("killed.example.com")
      const first = world.spawnCertifier()
      yield* world.ensure(asked)
      yield* eventuallyEffect(
        "an order under way",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where order_url is not null`),
          (rows) => rows.length > 0
        )
      )
      first.kill("SIGKILL")
      const second = world.spawnCertifier()
      yield* Effect.addFinalizer(() => Effect.sync(() => second.kill("SIGKILL")))
      yield* eventually("issued after the kill", () => world.notices.find((notice) => notice.change === "issued"))
      assert.strictEqual(issuedBy(world), 1)
      assert.strictEqual(ordersAt(world), 1)
    })
  )

  it.live("a name that answers elsewhere: back-off, words for the customer, then success", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      world.edge.answering = false
      yield* world.certifier
      const asked = ask("elsewhere.example.com")
      yield* world.ensure(asked)
      const failed = yield* noticeOf(world, asked.claim_id, "failed", "issued")
      assert.strictEqual(failed.change, "failed")
      assert.strictEqual(failed.certificate.status, "failed")
      assert.include(failed.certificate.last_error!, "elsewhere.example.com answered the certificate authority from somewhere else")
      const wait = Date.parse(failed.certificate.next_attempt_at!) - Date.now()
      assert.isAbove(wait, 45_000)
      // Asking again does not shorten the wait.
      yield* world.ensure(asked)
      yield* Effect.sleep("300 millis")
      assert.strictEqual(ordersAt(world), 1)
      world.edge.answering = true
      yield* world.database.query((sql) => sql`update certifier.claims set due_at = now(), retry_at = null`)
      yield* world.ensure(asked)
      yield* noticeOf(world, asked.claim_id, "issued")
    })
  )

  it.live("no edge, or no CA: nothing is lost and nothing is reported; it goes on as soon as both are there", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      world.edge.alive = false
      yield* Effect.sleep("3500 millis")
      yield* Effect.promise(() => world.pebble.stopCa())
      yield* world.certifier
      const asked = ask("patient.example.com")
      yield* world.ensure(asked)
      // Without an edge nothing is tried.
      yield* eventuallyEffect(
        "no edge is noticed",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where failed_kind = 'edgeless'`),
          (rows) => rows.length > 0
        )
      )
      assert.deepStrictEqual(world.notices, [])
      world.edge.alive = true
      yield* Effect.promise(() => world.pebble.startCa())
      yield* noticeOf(world, asked.claim_id, "issued")
    })
  )
})
