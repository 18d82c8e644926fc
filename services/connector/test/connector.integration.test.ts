/** The whole connector behind a real NATS: looks as work and as calls, questions about providers and domains. */
import {
  checkDomain,
  listProviders,
  lookCaa,
  lookOwnership,
  lookRecords,
  observeOwnership,
  observeRecords,
  testCredential
} from "@connect-domain/messages/connector.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { assert, layer } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { cname, newZone, sealed, set, World, world } from "./World.ts"

layer(world, { excludeTestServices: true })("connector", (it) => {
  it.effect("looks that were asked for as work are answered with the version they were asked with", () =>
    Effect.gen(function* () {
      const { store, answers } = yield* World
      const work = yield* Work
      newZone(
        store,
        "looks.test",
        set("_customdomain-challenge.www.looks.test", "TXT", '"cd-verify-x"'),
        set("www.looks.test", "CNAME", "edge.connect.test.")
      )
      const question = { connection_id: "c1", version: 7, hostname: "www.looks.test" }
      yield* work.send(
        lookOwnership,
        { ...question, name: "_customdomain-challenge.www.looks.test", value: "cd-verify-x" },
        { id: "look-1" }
      )
      const first = yield* Queue.take(answers)
      assert.deepInclude(first, { kind: "ownership" })
      assert.deepInclude(first.payload, { connection_id: "c1", version: 7 })
      assert.deepInclude(first.payload.look, { verdict: "match", expected: "cd-verify-x" })
      yield* work.send(lookRecords, { ...question, version: 8, records: [cname("www.looks.test")] }, { id: "look-2" })
      const second = yield* Queue.take(answers)
      assert.deepInclude(second.payload, { connection_id: "c1", version: 8 })
      assert.deepInclude(second.payload.look, { verdict: "match" })
    })
  )

  it.effect("a call tells what was seen where, and is unavailable when no server answers", () =>
    Effect.gen(function* () {
      const { store, dns } = yield* World
      const calls = yield* Calls
      newZone(store, "calls.test", set("_customdomain-challenge.www.calls.test", "TXT", '"something else"'))
      const question = { hostname: "www.calls.test", name: "_customdomain-challenge.www.calls.test", value: "cd-verify-x" }
      const look = yield* calls.request(observeOwnership, question)
      assert.strictEqual(look.verdict, "mismatch")
      assert.deepStrictEqual(
        look.servers.map((server) => server.values),
        [["something else"]]
      )
      const records = yield* calls.request(observeRecords, { hostname: "www.calls.test", records: [cname("www.calls.test")] })
      assert.deepInclude(records.records[0], { verdict: "mismatch", observed_value: null })
      dns.faults.set("calls.test.", "servfail")
      assert.strictEqual((yield* Effect.flip(calls.request(observeOwnership, question))).code, "unavailable")
      assert.strictEqual(
        (yield* Effect.flip(calls.request(observeRecords, { hostname: "www.calls.test", records: [cname("www.calls.test")] }))).code,
        "unavailable"
      )
    })
  )

  it.effect("CAA: the closest records upwards, aliases followed; a server that fails is not a zone without records", () =>
    Effect.gen(function* () {
      const { store, dns } = yield* World
      const calls = yield* Calls
      newZone(
        store,
        "caa.test",
        set("caa.test", "CAA", '0 issue "ca.test; validationmethods=http-01"'),
        set("www.caa.test", "A", "192.0.2.1")
      )
      newZone(store, "alias.test", set("alias.test", "CAA", '0 issue ";"'), set("shop.alias.test", "CNAME", "caa.test."))
      newZone(store, "free.test")
      const look = (hostname: string) => calls.request(lookCaa, { hostname })
      const records = [{ flags: 0, tag: "issue", value: "ca.test; validationmethods=http-01" }]
      assert.deepStrictEqual(yield* look("a.www.caa.test"), { verdict: "found", at: "caa.test", records, error: null })
      assert.deepStrictEqual(yield* look("*.caa.test"), { verdict: "found", at: "caa.test", records, error: null })
      assert.deepStrictEqual(yield* look("shop.alias.test"), { verdict: "found", at: "shop.alias.test", records, error: null })
      assert.deepStrictEqual(yield* look("www.free.test"), { verdict: "none", at: null, records: [], error: null })
      dns.faults.set("free.test.", "servfail")
      const failed = yield* look("www.free.test")
      assert.deepInclude(failed, { verdict: "unknown", at: "www.free.test" })
      assert.include(failed.error!, "SERVFAIL")
      dns.faults.delete("free.test.")
    })
  )

  it.effect("domains:check says whether a wildcard would work, and why", () =>
    Effect.gen(function* () {
      const { store } = yield* World
      const calls = yield* Calls
      newZone(store, "wildcheck.test", set("_acme-challenge.busy.wildcheck.test", "CNAME", "somebody.elses.test."))
      const check = (hostname: string, given: { readonly credentials?: ReadonlyArray<string>; readonly lasting?: boolean } = {}) =>
        Effect.map(
          calls.request(checkDomain, { hostname, planned: [], credentials: [], ...given }),
          ({ capabilities, capability_reasons, findings }) => ({
            possible: capabilities.wildcard,
            why: capability_reasons?.wildcard ?? "",
            codes: findings.map(({ code }) => code).filter((code) => code.startsWith("wildcard_"))
          })
        )
      const none = yield* check("*.wildcheck.test")
      assert.deepInclude(none, { possible: false, codes: ["wildcard_impossible"] })
      assert.include(none.why, "DNS credential")
      assert.deepInclude(yield* check("*.wildcheck.test", { credentials: ["powerdns"] }), { possible: true, codes: ["wildcard_possible"] })
      assert.deepInclude(yield* check("*.wildcheck.test", { credentials: ["unheard"] }), { possible: false })
      assert.include((yield* check("*.wildcheck.test", { lasting: true })).why, "_validation-persist.wildcheck.test")
      const busy = yield* check("*.busy.wildcheck.test", { credentials: ["powerdns"] })
      assert.deepInclude(busy, { possible: false })
      assert.include(busy.why, "somebody.elses.test")
      // Of a plain name only the capability is told.
      assert.deepInclude(yield* check("www.wildcheck.test"), { possible: false, codes: [] })
    })
  )

  it.effect("providers are listed, credentials are tried without writing", () =>
    Effect.gen(function* () {
      const { store, api } = yield* World
      const calls = yield* Calls
      newZone(store, "tried.test")
      const { providers } = yield* calls.request(listProviders, {})
      assert.includeMembers(
        providers.map((provider) => provider.key),
        ["powerdns", "rfc2136"]
      )
      const good = sealed({ url: api, api_key: "key" })
      assert.deepStrictEqual(yield* calls.request(testCredential, { credential: good, hostname: null }), { ok: true, zones: null })
      assert.deepStrictEqual(yield* calls.request(testCredential, { credential: good, hostname: "www.tried.test" }), {
        ok: true,
        zones: null
      })
      const code = (credential: SealedCredential, hostname: string | null = null) =>
        Effect.map(Effect.flip(calls.request(testCredential, { credential, hostname })), (error) => error.code)
      assert.strictEqual(yield* code(sealed({ url: api, api_key: "wrong" })), "credential_refused")
      assert.strictEqual(yield* code(good, "www.somebody-elses.test"), "credential_refused")
      assert.strictEqual(yield* code(sealed({ url: "http://127.0.0.1:1", api_key: "key" })), "unavailable")
    })
  )

  it.effect("domains:check shows what stands in the way", () =>
    Effect.gen(function* () {
      const { store, dns } = yield* World
      const calls = yield* Calls
      newZone(store, "checked.test", set("www.checked.test", "AAAA", "2001:db8::1"), set("checked.test", "CAA", '0 issue "other-ca.test"'))
      const question = { hostname: "www.checked.test", planned: [cname("www.checked.test")], credentials: ["powerdns"] }
      const answer = yield* calls.request(checkDomain, question)
      assert.deepInclude(answer, {
        hostname: "www.checked.test",
        apex: "checked.test",
        kind: "subdomain",
        zone: "checked.test",
        provider: null
      })
      assert.deepStrictEqual(answer.name_servers, ["ns1.checked.test"])
      assert.deepStrictEqual(
        answer.conflicts.map(({ host, type, value }) => [host, type, value]),
        [["www.checked.test", "AAAA", "2001:db8::1"]]
      )
      assert.includeMembers(
        answer.findings.map((finding) => finding.code),
        ["foreign_aaaa", "caa_forbids"]
      )
      assert.deepStrictEqual(
        answer.setup_types.filter((type) => type.offered).map((type) => type.type),
        ["automatic", "manual", "shared_login", "api"]
      )
      const unknown = yield* calls.request(checkDomain, { ...question, hostname: "www.not-there.test", planned: [] })
      assert.deepInclude(unknown, { zone: null })
      assert.include(
        unknown.findings.map((finding) => finding.code),
        "zone_not_found"
      )
      dns.faults.set("checked.test.", "refused")
      assert.strictEqual((yield* Effect.flip(calls.request(checkDomain, question))).code, "unavailable")
    })
  )
})
