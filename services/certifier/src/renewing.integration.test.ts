/** Renewal by ARI, a CA that forgot everything, a NATS that lost everything, a worker that wakes up too late. */
import { X509Certificate } from "node:crypto"
import { certificates } from "@connect-domain/messages/buckets.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually, eventuallyEffect } from "../test/eventually.ts"
import { Pebble } from "../test/Pebble.ts"
import { ask, makeWorld, type World } from "../test/World.ts"

const notice = (world: World, claimId: string, change: string) =>
  eventually(`${change} of ${claimId}`, () => world.notices.find((each) => each.claim_id === claimId && each.change === change))

const entryOf = (world: World, id: string) => Effect.map(Effect.orDie(world.kv.bucket(certificates).get(id)), (entry) => entry?.value)

describe("renewing", () => {
  it.live("A4: a window moved into the past renews at once, says what it replaces, and keeps the old one for a while", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ env: { CD_ARI_POLL_SECONDS: "1" } })
      yield* world.certifier
      const asked = ask("renewed.example.com")
      yield* world.ensure(asked)
      const first = yield* notice(world, asked.claim_id, "issued")
      const { chain } = (yield* entryOf(world, first.certificate_id!))!
      const hour = 3_600_000
      yield* Effect.promise(() =>
        world.pebble.setRenewalWindow(new X509Certificate(chain).toString(), new Date(Date.now() - 2 * hour), new Date(Date.now() - hour))
      )
      const second = yield* notice(world, asked.claim_id, "renewed")
      assert.notStrictEqual(second.certificate_id, first.certificate_id)
      assert.strictEqual(world.notices.filter((each) => each.change === "renewing").length, 1)
      assert.strictEqual(world.pebble.logged("is a replacement of"), Pebble.finds(first.certificate.serial!) ? 1 : 0)
      assert.strictEqual(world.pebble.logged("Issued certificate serial"), 2)
      assert.isDefined(yield* entryOf(world, first.certificate_id!))
      assert.isDefined(yield* entryOf(world, second.certificate_id!))
      // Its time over, the superseded certificate goes, key and all.
      const states = world.database.query<{ state: string; key_sealed: string | null }>(
        (sql) => sql`select state, key_sealed from certifier.certificates order by created_at`
      )
      assert.deepStrictEqual(
        (yield* states).map((row) => row.state),
        ["superseded", "current"]
      )
      yield* world.database.query((sql) => sql`update certifier.certificates set retire_at = now() where state = 'superseded'`)
      yield* world.certifier
      yield* eventuallyEffect(
        "retired",
        Effect.map(states, (rows) => rows[0]!.state === "destroyed" && rows[0]!.key_sealed === null)
      )
      yield* eventuallyEffect(
        "out of the bucket",
        Effect.map(entryOf(world, first.certificate_id!), (entry) => entry === undefined)
      )
    })
  )

  it.live("A5: short certificates without a window renew when their time has come", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ env: { CD_ACME_DIRECTORY: "internal", CD_INTERNAL_CA_LIFETIME: "20 seconds" } })
      yield* world.certifier
      const asked = ask("brief.example.com")
      yield* world.ensure(asked)
      const first = yield* notice(world, asked.claim_id, "issued")
      assert.strictEqual(first.certificate.ca, "internal")
      const renewed = yield* notice(world, asked.claim_id, "renewed")
      assert.isBelow(Date.parse(renewed.certificate.not_before!), Date.parse(first.certificate.not_after!))
      const rows = yield* world.database.query<{ pem: string }>(
        (sql) => sql`select pem from certifier.internal_authorities where role = 'root'`
      )
      const root = new X509Certificate(rows[0]!.pem)
      const entry = (yield* entryOf(world, renewed.certificate_id!))!
      const [leaf, intermediate] = entry.chain.split(/(?<=-----END CERTIFICATE-----)/).map((pem) => pem.trim())
      assert.isTrue(new X509Certificate(intermediate!).verify(root.publicKey))
      assert.isTrue(new X509Certificate(leaf!).verify(new X509Certificate(intermediate!).publicKey))
      assert.strictEqual(new X509Certificate(leaf!).checkHost("brief.example.com"), "brief.example.com")
    })
  )

  it.live("a test CA that was restarted: its certificates are replaced, at the start and while running", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const env = { CD_ACME_ROOTS_URL: `${world.pebble.management}/roots` }
      const withRoots = world.certifierWith(env)
      const asked = ask("orphan.example.com")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* withRoots
          yield* world.ensure(asked)
          yield* notice(world, asked.claim_id, "issued")
        })
      )
      yield* Effect.promise(() => world.pebble.restart())
      yield* withRoots
      const second = yield* notice(world, asked.claim_id, "renewed")
      const root = new X509Certificate(yield* Effect.promise(() => world.pebble.root()))
      const entry = (yield* entryOf(world, second.certificate_id!))!
      assert.isTrue(new X509Certificate(entry.chain.split(/(?<=-----END CERTIFICATE-----)/)[1]!).verify(root.publicKey))

      // While it runs: the next order finds that its account is unknown, and everything else follows.
      world.notices.length = 0
      yield* Effect.promise(() => world.pebble.restart())
      const other = ask("next.example.com")
      yield* world.ensure(other)
      yield* notice(world, other.claim_id, "issued")
      yield* notice(world, asked.claim_id, "renewed")
    })
  )

  it.live("A9: the operator replaces by provenance: each exactly once, naming what it replaces", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      const claims = Array.from({ length: 4 }, (_, i) => ask(`mass${i}.example.com`))
      yield* Effect.forEach(claims, world.ensure)
      const first = yield* Effect.forEach(claims, (claim) => notice(world, claim.claim_id, "issued"))
      const all = { ca: null, challenge: "http-01", since: null, until: null, serial: null, reason: "the CA's validation was wrong" }
      const ago = new Date(Date.now() - 3_600_000).toISOString()
      assert.strictEqual(yield* world.replace({ ...all, challenge: "tls-alpn-01", dry_run: false }), 0)
      assert.strictEqual(yield* world.replace({ ...all, until: ago, dry_run: false }), 0)
      assert.strictEqual(yield* world.replace({ ...all, since: ago, dry_run: true }), 4)
      assert.strictEqual((yield* Effect.flip(world.replace({ ...all, since: "yesterday", dry_run: true }))).code, "invalid")
      assert.strictEqual(yield* world.replace({ ...all, since: ago, dry_run: false }), 4)
      yield* Effect.forEach(claims, (claim) => notice(world, claim.claim_id, "renewed"))
      assert.strictEqual(world.pebble.logged("Issued certificate serial"), 8)
      const found = first.filter(({ certificate }) => Pebble.finds(certificate.serial!))
      assert.strictEqual(world.pebble.logged("is a replacement of"), found.length)
    })
  )

  it.live("A11: start-up never issues: with the CA away and NATS wiped, a fresh certifier gives every certificate back", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      const claims = Array.from({ length: 5 }, (_, i) => ask(`kept${i}.example.com`))
      yield* Effect.forEach(claims, world.ensure)
      yield* Effect.forEach(claims, (claim) => notice(world, claim.claim_id, "issued"))
      yield* Effect.promise(() => world.pebble.stopCa())
      yield* world.nats.stop("SIGKILL")
      yield* world.nats.wipe
      yield* Effect.orDie(world.nats.start)
      yield* world.provision
      yield* world.certifier
      yield* eventuallyEffect(
        "restored",
        Effect.map(
          Effect.orElseSucceed(world.bucketKeys, () => []),
          (keys) => keys.length === 5
        )
      )
      assert.strictEqual(world.pebble.logged("Issued certificate serial"), 5)
    })
  )

  it.live("A1: a worker that was stopped past its lease stores nothing", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { sleepSeconds: 3 } })
      const first = world.spawnCertifier()
      yield* Effect.addFinalizer(() => Effect.sync(() => first.kill("SIGKILL")))
      const asked = ask("stopped.example.com")
      yield* world.ensure(asked)
      yield* eventuallyEffect(
        "an order under way",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where order_url is not null`),
          (rows) => rows.length > 0
        )
      )
      first.kill("SIGSTOP")
      yield* world.certifier
      const issued = yield* notice(world, asked.claim_id, "issued")
      first.kill("SIGCONT")
      yield* Effect.sleep("4 seconds")
      const rows = yield* world.database.query<{ id: string; state: string }>((sql) => sql`select id, state from certifier.certificates`)
      assert.deepStrictEqual([...rows], [{ id: issued.certificate_id!, state: "current" }])
      assert.strictEqual(world.pebble.logged("Issued certificate serial"), 1)
      assert.strictEqual(world.notices.filter((each) => each.change === "issued").length, 1)
    })
  )
})
