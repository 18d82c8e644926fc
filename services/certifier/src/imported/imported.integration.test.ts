/** A caller's own certificate on real servers: sealed on its way, stored, served, watched, replaced by a CA's when it is taken back. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { certificates } from "@connect-domain/messages/buckets.ts"
import { importCertificate, importKey, withdrawCertificate } from "@connect-domain/messages/certifier.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { parseKeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { importedKeyPlace, sealFor } from "@connect-domain/secrets/PublicSeal.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { eventually, eventuallyEffect } from "../../test/eventually.ts"
import { makeAuthority } from "../../test/madeCertificate.ts"
import { hurry } from "../../test/outcomes.ts"
import { type Asked, ask, makeWorld, type World } from "../../test/World.ts"
import { certificateKeyPlace } from "../Certificates.ts"

const notice = (world: World, claimId: string, condition: (each: World["notices"][number]) => boolean) =>
  eventually(`a notice of ${claimId}`, () => world.notices.find((each) => each.claim_id === claimId && condition(each)))

const upload = Effect.fnUntraced(function* (world: World, asked: Asked, certificate: string, keyPem: string) {
  const { records: _, reason: __, ...claim } = asked
  const sealed_key = sealFor(yield* world.calls.request(importKey, {}), keyPem, importedKeyPlace(asked.connection_id))
  return yield* world.calls.request(importCertificate, { ...claim, certificate, sealed_key })
})

describe("imported certificates", () => {
  it.live("uploaded over an ordered one, served, warned about, taken back", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* world.certifier
      const asked = ask("mine.example.com")
      yield* world.ensure(asked)
      const ordered = yield* notice(world, asked.claim_id, ({ change }) => change === "issued")
      assert.strictEqual(ordered.certificate.issuer_origin, "acme")
      assert.isAbove(Date.parse(ordered.certificate.next_renewal_at!), Date.now())

      const authority = yield* Effect.promise(() => makeAuthority())
      const leaf = yield* Effect.promise(() => authority.leaf({ names: ["mine.example.com"] }))
      const answer = yield* upload(world, asked, `${authority.intermediatePem}\n${leaf.pem}`, leaf.keyPem)
      assert.strictEqual(answer.certificate.issuer_origin, "imported")
      const served = yield* notice(world, asked.claim_id, ({ certificate }) => certificate.issuer_origin === "imported")
      assert.strictEqual(served.change, "renewed")
      assert.strictEqual(served.certificate.ca, "Test Trust")
      assert.isBelow(Date.parse(served.certificate.next_renewal_at!), Date.parse(served.certificate.not_after!))
      assert.include(served.certificate.renewal_why!, "the one that you upload until then, else one that we obtain")
      const entry = (yield* world.kv.bucket(certificates).get(served.certificate_id!))!.value
      const vault = makeVault(Result.getOrThrow(parseKeyRing(world.env.EDGE_KEK!)))
      const keyPem = Result.getOrThrow(vault.openText(entry.sealed_key, certificateKeyPlace(asked.claim_id, entry.certificate_id)))
      assert.isTrue(new X509Certificate(entry.chain).checkPrivateKey(createPrivateKey(keyPem)))

      // Its time for a warning comes: said once, and not renewed.
      yield* world.database.query((sql) => sql`update certifier.claims set renew_at = now(), due_at = now()`)
      yield* world.ensure(asked)
      const warned = yield* notice(world, asked.claim_id, ({ change }) => change === "failed")
      assert.strictEqual(warned.certificate.status, "issued")
      assert.include(warned.certificate.last_error!, "Upload its successor; if there is none on")
      assert.strictEqual(world.pebble.logged("Issued certificate serial"), 1)

      // A replacement of everything leaves it alone.
      assert.strictEqual(
        yield* world.replace({ ca: null, challenge: null, since: null, until: null, serial: null, reason: "test", dry_run: true }),
        0
      )

      const { records: _, reason: __, ...claim } = asked
      const still = yield* world.calls.request(withdrawCertificate, claim)
      assert.strictEqual(still.certificate.serial, served.certificate.serial)
      const back = yield* notice(world, asked.claim_id, (each) => each.change === "renewed" && each.certificate.issuer_origin === "acme")
      assert.notStrictEqual(back.certificate_id, served.certificate_id)
      // Again: nothing to take back.
      assert.strictEqual((yield* world.calls.request(withdrawCertificate, claim)).certificate.serial, back.certificate.serial)
      assert.strictEqual(world.pebble.logged("Issued certificate serial"), 2)
    })
  )

  it.live("A5: nobody uploads a successor: a CA's takes its place before the end; while that fails it is served, and both are said", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      world.edge.answering = false
      yield* world.certifier
      const asked = ask("forgotten.example.com")
      const authority = yield* Effect.promise(() => makeAuthority())
      const day = 86_400_000
      const late = { names: [asked.hostname], from: Date.now() - 19 * day, to: Date.now() + day }
      const leaf = yield* Effect.promise(() => authority.leaf(late))
      yield* upload(world, asked, `${leaf.pem}\n${authority.intermediatePem}`, leaf.keyPem)
      const imported = yield* notice(world, asked.claim_id, ({ change }) => change === "issued")
      const failed = yield* notice(world, asked.claim_id, ({ change }) => change === "failed")
      assert.deepStrictEqual([failed.certificate_id, failed.certificate.status], [imported.certificate_id, "renewing"])
      assert.match(failed.certificate.last_error!, /that was uploaded .* could not obtain its successor yet.*from somewhere else/)
      assert.deepStrictEqual(yield* world.bucketKeys, [imported.certificate_id!])

      world.edge.answering = true
      yield* hurry(world)
      yield* world.ensure(asked)
      const { certificate } = yield* notice(world, asked.claim_id, ({ change }) => change === "renewed")
      assert.strictEqual(certificate.issuer_origin, "acme")
      assert.match(certificate.why!, /^The certificate that was uploaded came to its end and no successor was uploaded\. /)
      assert.isUndefined(certificate.last_error ?? undefined)
    })
  )

  it.live("an order under way can't overwrite an upload; a released claim takes none; wrong input names its field", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { sleepSeconds: 3 } })
      yield* world.certifier
      const asked = ask("race.example.com")
      yield* world.ensure(asked)
      yield* eventuallyEffect(
        "an order under way",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where order_url is not null`),
          (rows) => rows.length > 0
        )
      )
      const authority = yield* Effect.promise(() => makeAuthority())
      const leaf = yield* Effect.promise(() => authority.leaf({ names: ["race.example.com"] }))
      const chain = `${leaf.pem}\n${authority.intermediatePem}`
      yield* upload(world, asked, chain, leaf.keyPem)
      const served = yield* notice(world, asked.claim_id, ({ change }) => change === "issued")
      assert.strictEqual(served.certificate.issuer_origin, "imported")
      yield* Effect.sleep("4 seconds")
      const rows = yield* world.database.query<{ directory: string; state: string }>(
        (sql) => sql`select directory, state from certifier.certificates where state <> 'destroyed'`
      )
      assert.deepStrictEqual([...rows], [{ directory: "imported", state: "current" }])

      const wrong = yield* Effect.flip(upload(world, { ...asked, hostname: "other.example.com" }, chain, leaf.keyPem))
      assert.instanceOf(wrong, CallError)
      assert.deepStrictEqual([wrong.code, wrong.details], ["invalid", { field: "certificate" }])
      const { records: _, reason: __, ...claim } = asked
      const garbled = yield* Effect.flip(world.calls.request(importCertificate, { ...claim, certificate: chain, sealed_key: "x1.a.b.c" }))
      assert.strictEqual(garbled.code, "unavailable")

      yield* world.release(asked)
      yield* notice(world, asked.claim_id, ({ change }) => change === "destroyed")
      assert.strictEqual((yield* Effect.flip(upload(world, asked, chain, leaf.keyPem))).code, "not_found")
    })
  )
})
