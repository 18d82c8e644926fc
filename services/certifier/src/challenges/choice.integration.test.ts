/**
 * Which challenge is taken, against a real Pebble, 30 % of whose nonces are refused: lasting records, what is served already, edges that don't
 * answer, CAA's validationmethods; what worked or failed before counts.
 */
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventuallyEffect } from "../../test/eventually.ts"
import { noCaa } from "../../test/FakeDns.ts"
import { failuresAt, hurry, issued, noticeOf, ordersAt, renewedAnew } from "../../test/outcomes.ts"
import { ask, makeWorld } from "../../test/World.ts"

const pebble = { nonceReject: 30 }

describe("DNS-PERSIST-01", () => {
  it.live("offered once the CA was seen to take it, used once it is seen, never waited for", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble })
      yield* world.certifier
      assert.deepStrictEqual(yield* world.persistValues("first.example.com"), [])
      const first = ask("first.example.com")
      yield* world.ensure(first)
      assert.strictEqual((yield* issued(world, first)).challenge, "http-01")

      const [value] = yield* world.persistValues("*.lasting.example.com")
      const accounts = yield* world.database.query<{ kid: string }>((sql) => sql`select kid from certifier.accounts`)
      assert.strictEqual(value, `pebble.letsencrypt.org; accounturi=${accounts[0]!.kid}; policy=wildcard`)
      assert.deepStrictEqual(yield* world.persistValues("lasting.example.com"), [value!.replace("; policy=wildcard", "")])
      world.dns.persist = ["v=spf1 -all", value!]
      yield* Effect.promise(() => world.pebble.setTexts("_validation-persist.lasting.example.com", world.dns.persist))
      world.edge.answering = false
      for (const hostname of ["*.lasting.example.com", "lasting.example.com"]) {
        const asked = ask(hostname)
        yield* world.ensure(asked)
        const certificate = yield* issued(world, asked)
        assert.strictEqual(certificate.challenge, "dns-persist-01")
        assert.include(certificate.why!, "the lasting record at _validation-persist.lasting.example.com is there")
      }
      assert.strictEqual(world.dns.presented, 0)
      assert.strictEqual(failuresAt(world), 0)
    })
  )

  it.live("a record that the CA no longer takes: another way in the same attempt, remembered", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble })
      yield* world.certifier
      yield* world.ensure(ask("learn.example.com"))
      const [value] = yield* eventuallyEffect(
        "a value on offer",
        Effect.map(world.persistValues("gone.example.com"), (values) => (values.length > 0 ? values : undefined))
      )
      // We see it, the CA does not.
      world.dns.persist = [value!]
      const asked = ask("gone.example.com")
      yield* world.ensure(asked)
      const certificate = yield* issued(world, asked)
      assert.strictEqual(certificate.challenge, "http-01")
      assert.strictEqual(failuresAt(world), 1)
      const memory = yield* world.database.query<{ method: string; failures: number }>(
        (sql) => sql`select method, failures from certifier.challenge_memory where claim_id = ${asked.claim_id} order by method`
      )
      assert.deepStrictEqual(
        [...memory],
        [
          { method: "dns-persist-01", failures: 1 },
          { method: "http-01", failures: 0 }
        ]
      )
    })
  )
})

describe("the choice", () => {
  it.live("TLS-ALPN-01 while nothing is served, HTTP-01 for the renewal", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble, env: { CD_ACME_CHALLENGES: "tls-alpn-01,http-01" } })
      yield* world.certifier
      const asked = ask("alpn.example.com")
      yield* world.ensure(asked)
      const first = yield* issued(world, asked)
      assert.strictEqual(first.challenge, "tls-alpn-01")
      assert.include(first.why!, "TLS-ALPN-01: the name is taken to lead to our edge and nothing is served under it yet.")
      const ofAlpn = { ca: null, challenge: "tls-alpn-01", since: null, until: null, serial: null, reason: "test", dry_run: true }
      assert.strictEqual(yield* world.replace(ofAlpn), 1)
      const { certificate } = yield* renewedAnew(world, asked)
      assert.strictEqual(certificate.challenge, "http-01")
    })
  )

  it.live("edges that don't answer: DNS-01 in the same attempt; the renewal begins with what worked", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble })
      world.edge.answering = false
      world.dns.delegated = true
      yield* world.certifier
      const asked = ask("blocked.example.com")
      yield* world.ensure(asked)
      const certificate = yield* issued(world, asked)
      assert.strictEqual(certificate.challenge, "dns-01")
      assert.strictEqual(failuresAt(world), 1)
      const renewed = yield* renewedAnew(world, asked)
      assert.include(renewed.certificate.why!, "it worked before; HTTP-01 failed.")
      assert.strictEqual(failuresAt(world), 1)
    })
  )

  it.live("A8: CAA's validationmethods decide; what they allow and we can't do is said", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble })
      yield* world.certifier
      const only = (methods: string): CaaAnswer => ({
        ...{ ...noCaa, verdict: "found", at: "example.com" },
        records: [{ flags: 0, tag: "issue", value: `pebble.letsencrypt.org; validationmethods=${methods}` }]
      })
      world.dns.caa = only("dns-01")
      const asked = ask("caa.example.com")
      yield* world.ensure(asked)
      const { certificate } = yield* noticeOf(world, asked.claim_id, "failed")
      assert.include(certificate.last_error!, "Add http-01,tls-alpn-01 to its validationmethods")
      assert.strictEqual(ordersAt(world), 0)
      world.dns.delegated = true
      yield* hurry(world)
      yield* world.ensure(asked)
      assert.strictEqual((yield* issued(world, asked)).challenge, "dns-01")
      world.dns.caa = only("tls-alpn-01")
      const other = ask("alpn.example.com")
      yield* world.ensure(other)
      assert.strictEqual((yield* issued(world, other)).challenge, "tls-alpn-01")
    })
  )
})
