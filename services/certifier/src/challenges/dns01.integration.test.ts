/**
 * DNS-01 against a real Pebble, 30 % of whose nonces are refused; the DNS that it asks is written through the connector's calls: values beside
 * each other, names that lead elsewhere, credentials that don't fit, slow name servers, workers that die with a value in the DNS.
 */
import { CallError } from "@connect-domain/nats/Calls.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch } from "effect"
import { eventually, eventuallyEffect } from "../../test/eventually.ts"
import { failuresAt, hurry, issued, noticeOf, ordersAt } from "../../test/outcomes.ts"
import { type Asked, ask, makeWorld, type World } from "../../test/World.ts"

const leading = (hostname: string) => [{ host: hostname, type: "CNAME" as const, value: "edge.test", ttl: 300 }]
const textsGone = (world: World) =>
  eventuallyEffect(
    "no TXT value is left, and none is remembered",
    Effect.map(
      world.database.query((sql) => sql`select 1 from certifier.challenge_texts`),
      (rows) => rows.length === 0 && world.dns.texts.size === 0
    )
  )
const namesOf = (world: World, serial: string | null) =>
  Effect.map(
    world.database.query<{ names: ReadonlyArray<string> }>((sql) => sql`select names from certifier.certificates where serial = ${serial}`),
    ([row]) => row?.names
  )
const pebble = { nonceReject: 30 }

describe("DNS-01", () => {
  it.live("x and *.x at the same time: two values beside each other at one name, both gone afterwards", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { ...pebble, sleepSeconds: 2 }, env: { CD_ACME_CHALLENGES: "dns-01" } })
      world.dns.delegated = true
      yield* world.certifier
      // Neither goes on before both are written.
      const both = yield* Latch.make(false)
      world.dns.waits.push(Latch.await(both), Latch.await(both))
      const [exact, wild] = [ask("both.example.com"), ask("*.both.example.com")]
      yield* Effect.all([world.ensure(exact), world.ensure(wild)], { concurrency: 2 })
      yield* eventually("two values at one name", () => world.dns.texts.get("_acme-challenge.both.example.com")?.size === 2)
      yield* Latch.open(both)
      const certificate = yield* issued(world, wild)
      assert.strictEqual(certificate.challenge, "dns-01")
      assert.include(certificate.why!, "DNS-01: a wildcard is proven in the DNS, and its _acme-challenge is delegated to us.")
      assert.deepStrictEqual(yield* namesOf(world, certificate.serial), ["*.both.example.com"])
      yield* issued(world, exact)
      yield* textsGone(world)
      assert.strictEqual(failuresAt(world), 0)
    })
  )

  it.live("D8: a wildcard that nothing can prove gets words, no order; it is issued once the CNAME stands", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble })
      yield* world.certifier
      world.dns.delegationTarget = "abc.acme.example.net"
      const asked = ask("*.shop.example.com")
      yield* world.ensure(asked)
      const { certificate } = yield* noticeOf(world, asked.claim_id, "failed")
      assert.include(
        certificate.last_error!,
        "add the record _acme-challenge.shop.example.com CNAME abc.acme.example.net, or add a credential"
      )
      assert.strictEqual(ordersAt(world), 0)
      world.dns.delegated = true
      yield* hurry(world)
      yield* world.ensure(asked)
      yield* issued(world, asked)
    })
  )

  it.live("before the cut-over: issued through the application's credential while the name leads elsewhere", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble })
      yield* world.certifier
      world.dns.target = "old-host.example.net"
      const without = { ...ask("moving.example.com"), records: leading("moving.example.com") }
      yield* world.ensure(without)
      const { certificate } = yield* noticeOf(world, without.claim_id, "failed")
      assert.include(certificate.last_error!, "does not lead to us")
      assert.strictEqual(ordersAt(world), 0)

      const asked = { ...ask("early.example.com"), records: leading("early.example.com") }
      yield* giveCredential(world, asked)
      yield* world.ensure(asked)
      const early = yield* issued(world, asked)
      assert.include(early.why!, "DNS-01: the name does not lead to us yet, and the application has a DNS credential.")
      yield* textsGone(world)
    })
  )

  it.live("a credential that does not fit costs nothing at the CA: the next way, or words for whoever must act", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble, env: { CD_ACME_CHALLENGES: "dns-01,http-01" } })
      yield* world.certifier
      const refusal = new CallError({ code: "invalid", message: "the token may not write this zone; give it that right" })
      const asked = ask("fallback.example.com")
      yield* giveCredential(world, asked)
      world.dns.refusals.push(refusal)
      yield* world.ensure(asked)
      const certificate = yield* issued(world, asked)
      assert.strictEqual(certificate.challenge, "http-01")
      assert.strictEqual(ordersAt(world), 1)
      assert.strictEqual(failuresAt(world), 0)

      const wild = ask("*.wild.example.com")
      yield* giveCredential(world, wild)
      world.dns.refusals.push(refusal)
      yield* world.ensure(wild)
      const { certificate: failed } = yield* noticeOf(world, wild.claim_id, "failed")
      assert.include(failed.last_error!, "the token may not write this zone; give it that right")
      assert.strictEqual(failuresAt(world), 0)
    })
  )

  it.live("name servers that are slow: the value stays, and the same order goes on with it", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble })
      yield* world.certifier
      world.dns.delegated = true
      const slow = new CallError({ code: "not_yet", message: "not every name server shows the value yet" })
      world.dns.refusals.push(slow, slow, slow)
      const asked = ask("*.slow.example.com")
      yield* world.ensure(asked)
      yield* eventuallyEffect(
        "it gave up for now",
        Effect.map(
          world.database.query((sql) => sql`select 1 from certifier.claims where failures = 1`),
          (rows) => rows.length === 1
        )
      )
      const values = [...(world.dns.texts.get("_acme-challenge.slow.example.com") ?? [])]
      assert.strictEqual(values.length, 1)
      yield* hurry(world)
      yield* world.ensure(asked)
      yield* issued(world, asked)
      assert.strictEqual(ordersAt(world), 1)
      // The first worker's row is left to whoever takes away what was left; its value goes with the second one's.
      yield* eventually("the value is gone", () => world.dns.texts.size === 0)
    })
  )
})

describe("DNS-01 and workers that die", () => {
  it.live("kill -9 with the value in the DNS, and nobody wants the certificate any more: the value is taken away", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { ...pebble, sleepSeconds: 30 } })
      world.dns.delegated = true
      const first = world.spawnCertifier()
      const asked = ask("*.killed.example.com")
      yield* world.ensure(asked)
      yield* eventually("the value stands in the DNS", () => world.dns.texts.size === 1)
      first.kill("SIGKILL")
      yield* world.release(asked)
      yield* world.database.query((sql) => sql`update certifier.challenge_texts set remove_after = now()`)
      yield* world.certifier
      yield* textsGone(world)
    })
  )

  it.live(
    "A1: stopped past its lease with the value in place: the next worker's order is not disturbed when it wakes up",
    () =>
      Effect.gen(function* () {
        const world = yield* makeWorld({ pebble: { ...pebble, sleepSeconds: 8 } })
        world.dns.delegated = true
        // The first worker has written its value and not heard of it yet.
        const woken = yield* Latch.make(false)
        world.dns.waits.push(Latch.await(woken))
        const first = world.spawnCertifier()
        yield* Effect.addFinalizer(() => Effect.sync(() => first.kill("SIGKILL")))
        const asked = ask("*.stopped.example.com")
        yield* world.ensure(asked)
        yield* eventually("the value stands in the DNS", () => world.dns.texts.size === 1)
        first.kill("SIGSTOP")
        const second = world.spawnCertifier()
        yield* Effect.addFinalizer(() => Effect.sync(() => second.kill("SIGKILL")))
        yield* eventually("another worker goes on with the value", () => world.dns.presented === 2)
        yield* Latch.open(woken)
        first.kill("SIGCONT")
        const certificate = yield* issued(world, asked)
        assert.strictEqual(certificate.challenge, "dns-01")
        assert.strictEqual(ordersAt(world), 1)
        assert.strictEqual(failuresAt(world), 0)
        yield* eventually("the value is gone", () => world.dns.texts.size === 0)
        // What the first worker left is no value any more, and goes when its time has come.
        yield* world.database.query((sql) => sql`update certifier.challenge_texts set remove_after = now()`)
        yield* world.certifier
        yield* textsGone(world)
      }),
    120_000
  )
})

/** A connection of an application that has delegated a DNS credential. */
const giveCredential = ({ database }: World, { connection_id, tenant_id, hostname }: Asked) =>
  database.transaction(
    Effect.gen(function* () {
      const { query } = database
      yield* query((sql) => sql`insert into gateway.tenants (id, name) values (${tenant_id}, 'test')`)
      yield* query(
        (sql) =>
          sql`insert into gateway.applications (id, tenant_id, name, environment) values (${tenant_id}, ${tenant_id}, 'test', 'live')`
      )
      yield* query(
        (sql) => sql`
          insert into gateway.credentials (id, tenant_id, application_id, provider, sealed)
          values (${tenant_id}, ${tenant_id}, ${tenant_id}, 'powerdns', 'sealed')`
      )
      yield* query(
        (sql) => sql`
          insert into lifecycle.connections (id, tenant_id, application_id, environment, hostname, kind, setup_type, automatic, desired_records,
            challenge, state, entered_at, progress_at, certificate, created_at, updated_at)
          values (${connection_id}, ${tenant_id}, ${tenant_id}, 'live', ${hostname}, 'subdomain', 'automatic', true, '[]', '{}', 'live', now(),
            now(), '{}', now(), now())`
      )
    })
  )
