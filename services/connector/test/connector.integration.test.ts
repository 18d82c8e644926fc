/**
 * The whole connector behind a real NATS: looks as work and as calls, writes through a sealed credential, questions about domains.
 * The test plays lifecycle and gateway; the DNS is the sandbox's.
 */
import { randomUUID } from "node:crypto"
import {
  applyChange,
  checkDomain,
  listProviders,
  lookCaa,
  lookOwnership,
  lookRecords,
  observeOwnership,
  observeRecords,
  testCredential
} from "@connect-domain/messages/connector.ts"
import { ownershipObserved, recordsApplied, recordsObserved } from "@connect-domain/messages/lifecycle.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { DnsServer } from "@connect-domain/sandbox/dns/DnsServer.ts"
import { PowerDnsApi } from "@connect-domain/sandbox/dns/PowerDnsApi.ts"
import { type RecordSet, ZoneStore } from "@connect-domain/sandbox/dns/ZoneStore.ts"
import { credentialPlace } from "@connect-domain/secrets/credentialPlace.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Queue } from "effect"
import { connector } from "../src/service.ts"

const key = Buffer.alloc(32, "connector test key 0123456789abc").toString("base64")
const vault = makeVault({ first: "k", keys: new Map([["k", new Uint8Array(Buffer.from(key, "base64"))]]) })

/** Everything outside the connector. `answers`: what the lifecycle was told, by connection. */
class World extends Context.Service<
  World,
  {
    readonly store: ZoneStore
    readonly dns: DnsServer
    readonly api: string
    readonly answers: Queue.Dequeue<{ readonly kind: string; readonly payload: Record<string, unknown> }>
  }
>()("test/World") {}

const sandbox = Effect.acquireRelease(
  Effect.promise(async () => {
    const store = new ZoneStore()
    const dns = new DnsServer(store)
    const api = new PowerDnsApi({ store, dns, apiKey: "key" })
    return { store, dns, api, dnsPort: await dns.listen("127.0.0.1", 0), apiPort: await api.listen("127.0.0.1", 0) }
  }),
  ({ dns, api }) => Effect.promise(() => Promise.all([dns.close(), api.close()]))
)

const world = Layer.unwrap(
  Effect.gen(function* () {
    const { store, dns, dnsPort, apiPort } = yield* sandbox
    const nats = yield* startNats()
    const settings = ConfigProvider.layer(
      ConfigProvider.fromEnvRecord({
        NATS_URL: nats.url,
        CD_NETWORK_ALLOW: "127.0.0.0/8",
        CD_DNS_AUTHORITY_OVERRIDE: `127.0.0.1:${dnsPort}`,
        CREDENTIAL_ENC_KEY: `k:${key}`,
        CD_MODE: "sandbox"
      })
    )
    const answers = yield* Queue.unbounded<{ readonly kind: string; readonly payload: Record<string, unknown> }>()
    const hear = (kind: string) => (payload: object) =>
      Effect.asVoid(Queue.offer(answers, { kind, payload: payload as Record<string, unknown> }))
    const lifecycle = Layer.effectDiscard(
      Effect.gen(function* () {
        yield* provision
        const work = yield* Work
        yield* work.consume("lifecycle_connection", [
          handle(ownershipObserved, hear("ownership")),
          handle(recordsObserved, hear("records")),
          handle(recordsApplied, hear("applied"))
        ])
      })
    ).pipe(Layer.provideMerge(messaging("lifecycle")))
    const subject = connector.pipe(Layer.provide(Layer.fresh(messaging("connector"))))
    const here = Layer.succeed(World, { store, dns, api: `http://127.0.0.1:${apiPort}`, answers })
    return subject.pipe(Layer.provideMerge(lifecycle), Layer.provide(settings), Layer.merge(here))
  })
)

const sealed = (token: unknown, provider = "powerdns"): SealedCredential => {
  const place = { credential_id: randomUUID(), tenant_id: "tenant" }
  return { ...place, provider, sealed: vault.seal(JSON.stringify(token), credentialPlace(place)) }
}
const set = (name: string, type: string, ...contents: ReadonlyArray<string>): RecordSet => ({
  name: `${name}.`,
  type,
  ttl: 60,
  records: contents.map((content) => ({ content, disabled: false }))
})
const newZone = (store: ZoneStore, name: string, ...sets: ReadonlyArray<RecordSet>) =>
  store.create(`${name}.`, "Native", [
    set(name, "SOA", `ns1.${name}. hostmaster.${name}. 1 1 1 1 5`),
    set(name, "NS", `ns1.${name}.`),
    ...sets
  ])
const contents = (store: ZoneStore, zone: string, name: string, type: string) =>
  store.zones
    .get(`${zone}.`)
    ?.sets.get(`${name}.`)
    ?.get(type)
    ?.records.map((record) => record.content) ?? []
const cname = (host: string) => ({ host, type: "CNAME" as const, value: "edge.connect.test", ttl: 300 })

layer(world, { excludeTestServices: true, timeout: 60_000 })("connector", (it) => {
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

  it.effect("challenge, records and cleanup are written through the credential whose account holds the zone", () =>
    Effect.gen(function* () {
      const { store, api, answers } = yield* World
      const work = yield* Work
      newZone(store, "auto.test", set("www.auto.test", "A", "192.0.2.1"), set("auto.test", "MX", "10 mx.test."))
      const name = "_customdomain-challenge.www.auto.test"
      const challenge = [{ host: name, type: "TXT" as const, value: "cd-verify-a", ttl: 60 }]
      const order = {
        connection_id: "c2",
        hostname: "www.auto.test",
        credentials: [sealed({ url: api, api_key: "wrong" }), sealed({ url: api, api_key: "key" })],
        replace: true
      }
      const say = (
        version: number,
        purpose: "challenge" | "records" | "cleanup",
        records: ReadonlyArray<{ host: string; type: "TXT" | "CNAME"; value: string; ttl: number }>
      ) => Effect.andThen(work.send(applyChange, { ...order, version, purpose, records }, { id: `apply-${version}` }), Queue.take(answers))
      assert.deepStrictEqual((yield* say(1, "challenge", challenge)).payload, {
        connection_id: "c2",
        version: 1,
        purpose: "challenge",
        provider: "powerdns",
        failure: null
      })
      assert.deepStrictEqual(contents(store, "auto.test", name, "TXT"), ['"cd-verify-a"'])
      assert.deepInclude((yield* say(2, "records", [cname("www.auto.test")])).payload, { version: 2, failure: null })
      assert.deepStrictEqual(
        [contents(store, "auto.test", "www.auto.test", "A"), contents(store, "auto.test", "www.auto.test", "CNAME")],
        [[], ["edge.connect.test."]]
      )
      assert.deepInclude((yield* say(3, "cleanup", challenge)).payload, { version: 3, failure: null })
      assert.deepStrictEqual(contents(store, "auto.test", name, "TXT"), [])
      assert.deepStrictEqual(contents(store, "auto.test", "auto.test", "MX"), ["10 mx.test."])
    })
  )

  it.effect("what is merely useful is written where nothing stands in its way, and stops nothing", () =>
    Effect.gen(function* () {
      const { store, api, answers } = yield* World
      const work = yield* Work
      const taken = "_acme-challenge.taken.useful.test"
      newZone(store, "useful.test", set(taken, "CNAME", "somebody.elses.test."))
      const useful = (hostname: string) => [
        { host: `_acme-challenge.${hostname}`, type: "CNAME" as const, value: "label.acme.connect.test", ttl: 300, required: false },
        { host: `_validation-persist.${hostname}`, type: "TXT" as const, value: "ca.test; accounturi=x", ttl: 300, required: false },
        { host: "_acme-challenge.outside.test", type: "CNAME" as const, value: "label.acme.connect.test", ttl: 300, required: false }
      ]
      const apply = (hostname: string) => {
        const order = { connection_id: "c9", version: 1, purpose: "records" as const, hostname, replace: true }
        const records = [cname(hostname), ...useful(hostname)]
        return Effect.andThen(
          work.send(applyChange, { ...order, records, credentials: [sealed({ url: api, api_key: "key" })] }, { id: `useful-${hostname}` }),
          Queue.take(answers)
        )
      }
      for (const hostname of ["free.useful.test", "taken.useful.test"]) {
        assert.deepInclude((yield* apply(hostname)).payload, { failure: null })
        assert.deepStrictEqual(contents(store, "useful.test", hostname, "CNAME"), ["edge.connect.test."])
        assert.deepStrictEqual(contents(store, "useful.test", `_validation-persist.${hostname}`, "TXT"), ['"ca.test; accounturi=x"'])
      }
      assert.deepStrictEqual(contents(store, "useful.test", "_acme-challenge.free.useful.test", "CNAME"), ["label.acme.connect.test."])
      assert.deepStrictEqual(contents(store, "useful.test", taken, "CNAME"), ["somebody.elses.test."])
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

  it.effect("a write that can't be says who must act", () =>
    Effect.gen(function* () {
      const { store, api, answers } = yield* World
      const work = yield* Work
      newZone(store, "stuck.test", set("www.stuck.test", "TXT", '"somebody\'s proof"'))
      const apply = (id: string, hostname: string, credentials: ReadonlyArray<SealedCredential>) =>
        Effect.map(
          Effect.andThen(
            work.send(
              applyChange,
              { connection_id: "c3", version: 1, purpose: "records", hostname, records: [cname(hostname)], credentials, replace: true },
              { id }
            ),
            Queue.take(answers)
          ),
          ({ payload }) => payload.failure as { readonly code: string; readonly message: string }
        )
      const good = sealed({ url: api, api_key: "key" })
      assert.strictEqual((yield* apply("s1", "www.stuck.test", [good])).code, "conflict")
      assert.strictEqual((yield* apply("s2", "www.nowhere.test", [good])).code, "zone_not_found")
      assert.strictEqual((yield* apply("s3", "www.stuck.test", [sealed({ url: api, api_key: "wrong" })])).code, "access_denied")
      assert.strictEqual((yield* apply("s4", "www.stuck.test", [{ ...good, tenant_id: "another" }])).code, "access_denied")
      assert.strictEqual((yield* apply("s5", "www.stuck.test", [sealed("x", "unheard")])).code, "unsupported")
      assert.strictEqual((yield* apply("s6", "www.stuck.test", [])).code, "unsupported")
      assert.strictEqual(
        (yield* apply("s7", "www.stuck.test", [sealed({ url: "http://127.0.0.1:1", api_key: "key" })])).code,
        "unavailable"
      )
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
