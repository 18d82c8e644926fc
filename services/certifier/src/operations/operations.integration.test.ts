/** What an operator asks for, at a real CA: a new account key under load and after crashes, revocation after replacement, what fails. */
import { listFailing, revokeCertificates, rollAccountKey } from "@connect-domain/messages/certifier.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { parseKeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { eventually, eventuallyEffect } from "../../test/eventually.ts"
import { ask, makeWorld, type World } from "../../test/World.ts"
import { rootNameOf } from "../acme/preferredChain.ts"
import { operate } from "../operate.ts"

const caOf = (world: World) => new URL(world.pebble.directory).host
const issued = (world: World, claimId: string, change = "issued") =>
  eventually(`${change} of ${claimId}`, () => world.notices.find((each) => each.claim_id === claimId && each.change === change))
const run = (world: World, ...args: ReadonlyArray<string>) =>
  Effect.map(operate(args).pipe(Effect.provideService(Calls, world.calls)), (lines) => lines.join("\n"))

const accountOf = (world: World) =>
  Effect.map(
    world.database.query<{ key_sealed: string; next_key_sealed: string | null; rolling_until: Date | null }>(
      (sql) => sql`select key_sealed, next_key_sealed, rolling_until from certifier.accounts`
    ),
    (rows) => rows[0]!
  )

describe("operations", () => {
  it.live("A10: the account's key changes while three certifiers order: no order is lost, nobody fails", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { sleepSeconds: 1 } })
      yield* Effect.all([world.certifier, world.certifier, world.certifier])
      const first = ask("before.example.com")
      yield* world.ensure(first)
      yield* issued(world, first.claim_id)
      const before = yield* accountOf(world)
      const claims = Array.from({ length: 24 }, (_, i) => ask(`roll${i}.example.com`))
      yield* Effect.forEach(claims, world.ensure, { concurrency: "unbounded" })
      yield* eventually("orders under way", () => world.pebble.logged("Added order") > 4)
      const rolled = yield* world.calls.request(rollAccountKey, { ca: caOf(world) })
      const again = yield* world.calls.request(rollAccountKey, { ca: caOf(world) })
      assert.notStrictEqual(rolled.thumbprint, again.thumbprint)
      yield* Effect.forEach(claims, (claim) => issued(world, claim.claim_id))
      const after = yield* accountOf(world)
      assert.notStrictEqual(after.key_sealed, before.key_sealed)
      assert.deepStrictEqual([after.next_key_sealed, after.rolling_until], [null, null])
      assert.deepStrictEqual(
        world.notices.filter(({ change }) => change === "failed"),
        []
      )
      assert.strictEqual(world.pebble.logged("Added order"), 25)
      const accounts = yield* world.database.query((sql) => sql`select kid from certifier.accounts`)
      assert.strictEqual(accounts.length, 1)
    })
  )

  it.live("A10: cut off before or after the CA changed the key: found out and finished, the same account", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const vault = makeVault(Result.getOrThrow(parseKeyRing(world.env.CD_ACME_KEK!)))
      const place = { tenant: "certifier", table: "accounts", column: "key", row: world.pebble.directory }
      yield* world.certifier
      const first = ask("one.example.com")
      yield* world.ensure(first)
      yield* issued(world, first.claim_id)
      const before = yield* accountOf(world)
      yield* world.calls.request(rollAccountKey, { ca: caOf(world) })
      const after = yield* accountOf(world)
      // As if the process had died after the CA's answer: the row has the old key, the next one beside it.
      const crashed = world.database.query(
        (sql) => sql`update certifier.accounts set key_sealed = ${before.key_sealed}, next_key_sealed = ${after.key_sealed}`
      )
      yield* crashed
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* world.certifier
          const two = ask("two.example.com")
          yield* world.ensure(two)
          yield* issued(world, two.claim_id)
        })
      )
      // Whoever met it first finished it; if the order went through the process that knew, the next roll does.
      yield* crashed
      const rolled = yield* world.calls.request(rollAccountKey, { ca: caOf(world) })
      const row = yield* accountOf(world)
      assert.isNull(row.next_key_sealed)
      assert.include(Result.getOrThrow(vault.openText(row.key_sealed, place)), "PRIVATE KEY")
      assert.isAbove(rolled.thumbprint.length, 40)
      const three = ask("three.example.com")
      yield* world.ensure(three)
      yield* issued(world, three.claim_id)
      assert.deepStrictEqual(
        world.notices.filter(({ change }) => change === "failed"),
        []
      )
      assert.strictEqual((yield* Effect.flip(world.calls.request(rollAccountKey, { ca: "nobody" }))).code, "not_found")
    })
  )

  it.live("A9: revoke replaces what is served and revokes after; a compromised key at once; by the command line", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      const [one, two] = [ask("one.example.com"), ask("two.example.com")]
      yield* Effect.forEach([one, two], world.ensure)
      const first = yield* issued(world, one.claim_id)
      yield* issued(world, two.claim_id)
      assert.include(yield* run(world, "revoke", "--serial", first.certificate.serial!, "--dry-run"), "1 certificates would be revoked")
      assert.include(yield* run(world, "revoke", "--serial", first.certificate.serial!.toUpperCase()), "once its successor is served")
      const second = yield* issued(world, one.claim_id, "renewed")
      assert.notStrictEqual(second.certificate.serial, first.certificate.serial)
      const revoked = (serial: string) =>
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.certificates where serial = ${serial} and revoked_at is not null`),
          (rows) => rows.length === 1
        )
      yield* eventuallyEffect("revoked after its successor was served", revoked(first.certificate.serial!))
      assert.strictEqual(yield* Effect.promise(() => world.pebble.certificateStatus(first.certificate.serial!)), "Revoked")
      assert.strictEqual(yield* Effect.promise(() => world.pebble.certificateStatus(second.certificate.serial!)), "Valid")

      const answer = yield* world.calls.request(revokeCertificates, {
        serial: null,
        connection_id: two.connection_id,
        reason: "keyCompromise",
        dry_run: false
      })
      assert.strictEqual(answer.matching, 1)
      // The call itself revokes a compromised key.
      const compromised = world.notices.find((each) => each.claim_id === two.claim_id)!.certificate.serial!
      assert.isTrue(yield* revoked(compromised))
      const isRevoked = ({ certificate }: World["notices"][number]) => certificate.status === "revoked"
      const said = yield* eventually("the lifecycle hears of it", () => world.notices.find(isRevoked))
      assert.deepStrictEqual([said.claim_id, said.certificate.serial, said.change], [two.claim_id, compromised, "renewing"])
      assert.strictEqual((yield* issued(world, two.claim_id, "renewed")).certificate.status, "issued")
      // What was replaced first is never shown as revoked.
      assert.isTrue(world.notices.filter(isRevoked).every(({ claim_id }) => claim_id === two.claim_id))
      const none = { serial: null, connection_id: null, reason: "unspecified", dry_run: true } as const
      assert.strictEqual((yield* Effect.flip(world.calls.request(revokeCertificates, none))).code, "invalid")
      assert.include(
        yield* run(world, "replace", "--ca", caOf(world), "--challenge", "http-01", "--reason", "drill", "--dry-run"),
        "2 certificates would be replaced"
      )
      assert.include((yield* Effect.flip(run(world, "replace"))).message, "--reason is missing")
      assert.include((yield* Effect.flip(run(world, "nonsense"))).message, "commands: replace")
    })
  )

  it.live("A9: revocations of a CA that is not set up any more, or that refuses them, are in nobody's way", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      const [one, two] = [ask("one.example.com"), ask("two.example.com")]
      yield* Effect.forEach([one, two], world.ensure)
      yield* Effect.forEach([one, two], ({ claim_id }) => issued(world, claim_id))
      // Older ones, more than are looked at together: half at a CA that is gone, half nonsense to this one.
      yield* world.database.query(
        (sql) => sql`
          insert into certifier.certificates (id, claim_id, state, names, environment, chain, serial, not_before, not_after, ca, directory,
            issuer, top_fingerprint, fence, created_at, revoke_reason, revoke_now)
          select gen_random_uuid(), claim_id, 'destroyed', names, environment, chain, n::text, not_before, not_after, ca,
            case when n % 2 = 0 then 'https://gone.example/dir' else directory end, issuer, top_fingerprint, fence, created_at - interval '1 day', 99, true
          from certifier.certificates, generate_series(1, 500) n where claim_id = ${one.claim_id}`
      )
      const asked = { serial: null, connection_id: two.connection_id, reason: "keyCompromise", dry_run: false } as const
      assert.strictEqual((yield* world.calls.request(revokeCertificates, asked)).matching, 1)
      yield* eventuallyEffect(
        "revoked all the same",
        Effect.map(
          world.database.query(
            (sql) => sql`select 1 from certifier.certificates where claim_id = ${two.claim_id} and revoked_at is not null`
          ),
          (rows) => rows.length === 1
        )
      )
      // Those of the CA that is gone were not even looked at; some of the others may be under way.
      const tried = yield* world.database.query<{ directory: string; tried: number }>(
        (sql) => sql`
          select directory, count(*) filter (where revoke_tries > 0)::int as tried
          from certifier.certificates where revoke_reason = 99 group by directory order by directory`
      )
      assert.deepStrictEqual({ ...tried[0] }, { directory: "https://gone.example/dir", tried: 0 })
      assert.isAtLeast(tried[1]!.tried, 200)
    })
  )

  it.live("lists what fails, the longest first, page by page", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      world.edge.answering = false
      yield* world.certifier
      assert.strictEqual(yield* run(world, "failing"), "nothing fails")
      for (const name of ["a.example.com", "b.example.com"]) {
        const asked = ask(name)
        yield* world.ensure(asked)
        yield* issued(world, asked.claim_id, "failed")
      }
      const page = yield* world.calls.request(listFailing, { after: null, limit: 1 })
      const all = yield* world.calls.request(listFailing, { after: null, limit: 10 })
      const namesOf = ({ failing }: typeof all) => failing.map(({ hostname }) => hostname)
      assert.deepStrictEqual([namesOf(page), namesOf(all), all.next], [["a.example.com"], ["a.example.com", "b.example.com"], null])
      assert.include(yield* run(world, "failing", "--limit", "1"), `more: --after ${page.next}`)
      // Its name recovers meanwhile: the page after it is the same.
      yield* world.database.query(
        (sql) => sql`update certifier.claims set failures = 0, failing_since = null, failed_at = null where hostname = 'a.example.com'`
      )
      assert.deepStrictEqual(namesOf(yield* world.calls.request(listFailing, { after: page.next!, limit: 10 })), ["b.example.com"])
      assert.strictEqual((yield* Effect.flip(world.calls.request(listFailing, { after: "b", limit: 1 }))).code, "invalid")
      assert.include(yield* run(world, "failing"), "answered the certificate authority from somewhere else")
    })
  )

  it.live("the preferred chain is the one under the root of that name, else the CA's own", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { alternateRoots: 2 } })
      const roots = yield* Effect.promise(() => world.pebble.rootNames(3))
      const topOf = (claimId: string) =>
        Effect.map(
          world.database.query<{ chain: string }>((sql) => sql`select chain from certifier.certificates where claim_id = ${claimId}`),
          (rows) => rows[0]!.chain
        )
      for (const [preferred, expected] of [
        [roots[2]!, roots[2]!],
        ["Nobody's Root", roots[0]!]
      ] as const) {
        const asked = ask(`chain-${preferred.length}.example.com`)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* world.certifierWith({ CD_ACME_PREFERRED_CHAIN: preferred })
            yield* world.ensure(asked)
            yield* issued(world, asked.claim_id)
          })
        )
        assert.strictEqual(rootNameOf(yield* topOf(asked.claim_id)), expected)
      }
    })
  )
})
