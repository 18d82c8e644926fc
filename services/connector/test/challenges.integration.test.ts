/** The three challenge calls behind a real NATS, with zones at a real BIND (RFC 2136) and a real PowerDNS (its API). */
import { randomUUID } from "node:crypto"
import { Resolver as NodeResolver } from "node:dns/promises"
import { replace } from "@connect-domain/dns-provider/ChangePlan.ts"
import type { DnsProvider } from "@connect-domain/dns-provider/DnsProvider.ts"
import { startBind } from "@connect-domain/dns-provider/testing/startBind.ts"
import { startPowerDns } from "@connect-domain/dns-provider/testing/startPowerDns.ts"
import { delegationTarget } from "@connect-domain/domain/acmeNames.ts"
import { lookChallenge, observeRecords, presentChallenge, removeChallenge } from "@connect-domain/messages/connector.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { createUsers } from "@connect-domain/nats/serverConfiguration.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { credentialPlace } from "@connect-domain/secrets/credentialPlace.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, References, Result } from "effect"
import { descriptorOf } from "../src/providers/registry.ts"
import { connector } from "../src/service.ts"
import { openReach } from "./reach.ts"

const key = Buffer.alloc(32, "connector test key 0123456789abc").toString("base64")
const vault = makeVault({ first: "k", keys: new Map([["k", new Uint8Array(Buffer.from(key, "base64"))]]) })
const [customer, ownZone] = ["customer.test", "acme-answers.test"]
const tenant = "0190a0a0-0000-7000-8000-000000000001"

interface Server {
  readonly provider: string
  readonly token: object
  readonly dnsPort: number
  readonly close: () => Promise<void>
}

const bind = async (): Promise<Server> => {
  const { port, keyName, secret, close } = await startBind([customer, ownZone])
  return { provider: "rfc2136", token: { server: "127.0.0.1", port, tsig_name: keyName, tsig_secret: secret }, dnsPort: port, close }
}
const powerDns = async (): Promise<Server> => {
  const { url, apiKey, dnsPort, close } = await startPowerDns()
  for (const name of [customer, ownZone]) {
    const made = await fetch(`${url}/api/v1/servers/localhost/zones`, {
      method: "POST",
      headers: { "x-api-key": apiKey },
      body: JSON.stringify({ name: `${name}.`, kind: "Native", nameservers: [`ns1.${name}.`] })
    })
    if (made.status !== 201) throw new Error(`zone ${name}: ${made.status}`)
  }
  return { provider: "powerdns", token: { url, api_key: apiKey }, dnsPort, close }
}

class World extends Context.Service<
  World,
  {
    readonly dig: (name: string) => Promise<ReadonlyArray<string>>
    readonly customers: (typeof DnsProvider)["Service"]
    readonly sealed: SealedCredential
  }
>()("test/World") {}

const worldWith = (start: () => Promise<Server>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(Effect.promise(start), (each) => Effect.promise(each.close))
      const { reach } = yield* Effect.acquireRelease(Effect.promise(openReach), (each) => Effect.promise(each.close))
      const users = createUsers()
      const nats = yield* startNats({ users })
      const environment = {
        ...Object.fromEntries(users.map(({ name, seed }) => [`CD_${name.toUpperCase()}_NATS_SEED`, seed])),
        NATS_URL: nats.url,
        CD_NETWORK_ALLOW: "127.0.0.0/8",
        CD_DNS_AUTHORITY_OVERRIDE: `127.0.0.1:${server.dnsPort}`,
        CREDENTIAL_ENC_KEY: `k:${key}`,
        CD_MODE: "sandbox",
        CD_ACME_DNS_ZONE: ownZone,
        CD_ACME_DNS_PROVIDER: server.provider,
        CD_ACME_DNS_CREDENTIAL: JSON.stringify(server.token)
      }
      const dns = new NodeResolver()
      dns.setServers([`127.0.0.1:${server.dnsPort}`])
      const place = { credential_id: randomUUID(), tenant_id: tenant }
      const world = Layer.succeed(World, {
        dig: (name) =>
          dns.resolveTxt(name).then(
            (all) => all.map((parts) => parts.join("")).sort(),
            () => []
          ),
        customers: Result.getOrThrow(descriptorOf(server.provider)!.make(server.token, reach)),
        sealed: { ...place, provider: server.provider, sealed: vault.seal(JSON.stringify(server.token), credentialPlace(place)) }
      })
      const streams = Layer.effectDiscard(provision).pipe(Layer.provide(Layer.fresh(messaging("lifecycle"))))
      const subject = connector.pipe(Layer.provide(Layer.fresh(messaging("connector"))), Layer.provide(streams))
      // Asked under the certifier's own user: what it may publish is part of the test.
      return Layer.mergeAll(subject, world).pipe(
        Layer.provideMerge(messaging("certifier")),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))),
        Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error"))
      )
    })
  )

const put = (name: string, type: string, value: string) =>
  Effect.flatMap(World, ({ customers }) =>
    Effect.flatMap(customers.findZone(customer), (zone) => customers.apply(zone, [replace(name, type, [value], { expect: [] })]))
  )

for (const [name, start] of [
  ["BIND", bind],
  ["PowerDNS", powerDns]
] as const) {
  layer(worldWith(start), { excludeTestServices: true })(`answers at ${name}`, (it) => {
    it.effect("two orders at one name keep both values beside a foreign one; each is removed alone, twice without harm", () =>
      Effect.gen(function* () {
        const { dig, sealed } = yield* World
        const calls = yield* Calls
        const at = `_acme-challenge.shop.${customer}`
        yield* put(at, "TXT", "somebody else's")
        const ask = (value: string) => ({ tenant_id: tenant, hostname: `shop.${customer}`, value, credentials: [sealed] })
        const both = yield* Effect.all(
          ["one", "two"].map((value) => calls.request(presentChallenge, ask(value))),
          { concurrency: 2 }
        )
        for (const answer of both) assert.deepInclude(answer, { where: "credential", name: at, provider: sealed.provider })
        assert.deepStrictEqual(yield* Effect.promise(() => dig(at)), ["one", "somebody else's", "two"])
        yield* calls.request(presentChallenge, ask("one"))
        assert.deepStrictEqual(yield* calls.request(removeChallenge, ask("one")), { removed: true })
        assert.deepStrictEqual(yield* calls.request(removeChallenge, ask("one")), { removed: false })
        assert.deepStrictEqual(yield* Effect.promise(() => dig(at)), ["somebody else's", "two"])
        yield* calls.request(removeChallenge, ask("two"))
        assert.deepStrictEqual(yield* Effect.promise(() => dig(at)), ["somebody else's"])
      })
    )

    it.effect("a delegated name is answered in our own zone, without a credential, for x and *.x at once", () =>
      Effect.gen(function* () {
        const { dig } = yield* World
        const calls = yield* Calls
        const at = `_acme-challenge.moved.${customer}`
        const target = delegationTarget(tenant, `moved.${customer}`, ownZone)
        yield* put(at, "CNAME", target)
        const ask = (hostname: string, value: string) => ({ tenant_id: tenant, hostname, value, credentials: [] })
        const both = yield* Effect.all(
          [
            calls.request(presentChallenge, ask(`moved.${customer}`, "plain")),
            calls.request(presentChallenge, ask(`*.moved.${customer}`, "wild"))
          ],
          { concurrency: 2 }
        )
        for (const answer of both) assert.deepInclude(answer, { where: "delegated", name: target })
        assert.deepStrictEqual(yield* Effect.promise(() => dig(target)), ["plain", "wild"])
        const stranger = { ...ask(`moved.${customer}`, "theirs"), tenant_id: "0190a0a0-0000-7000-8000-000000000002" }
        const refused = yield* Effect.flip(calls.request(presentChallenge, stranger))
        assert.strictEqual(refused.code, "invalid")
        yield* calls.request(removeChallenge, ask(`moved.${customer}`, "plain"))
        yield* calls.request(removeChallenge, ask(`*.moved.${customer}`, "wild"))
        assert.deepStrictEqual(yield* Effect.promise(() => dig(target)), [])
      })
    )

    it.effect("D8: a wildcard's record is what a name that nobody could guess shows; an exact name below it proves nothing", () =>
      Effect.gen(function* () {
        const calls = yield* Calls
        const record = { host: `*.wild.${customer}`, type: "CNAME" as const, value: "edge.connect.test", ttl: 300 }
        const look = Effect.map(
          calls.request(observeRecords, { hostname: `*.wild.${customer}`, records: [record] }),
          ({ verdict, records }) => [verdict, records[0]?.observed_value]
        )
        yield* put(`www.wild.${customer}`, "CNAME", "edge.connect.test")
        assert.deepStrictEqual(yield* look, ["mismatch", null])
        yield* put(`*.wild.${customer}`, "CNAME", "edge.connect.test")
        assert.deepStrictEqual(yield* look, ["match", "edge.connect.test"])
        yield* put(`*.away.${customer}`, "CNAME", "elsewhere.test")
        const away = { ...record, host: `*.away.${customer}` }
        const elsewhere = yield* calls.request(observeRecords, { hostname: away.host, records: [away] })
        assert.deepInclude(elsewhere.records[0], { verdict: "mismatch", observed_value: "elsewhere.test" })
      })
    )

    it.effect("a look tells what the customer has prepared", () =>
      Effect.gen(function* () {
        const calls = yield* Calls
        const look = (hostname: string) => calls.request(lookChallenge, { tenant_id: tenant, hostname })
        const target = (hostname: string) => delegationTarget(tenant, hostname, ownZone)
        assert.deepStrictEqual(yield* look(`bare.${customer}`), {
          delegated: false,
          cname: null,
          delegation_target: target(`bare.${customer}`),
          persist: []
        })
        yield* put(`_validation-persist.ready.${customer}`, "TXT", "ca.test; accounturi=https://ca.test/1")
        yield* put(`_acme-challenge.ready.${customer}`, "CNAME", target(`ready.${customer}`))
        assert.deepStrictEqual(yield* look(`*.ready.${customer}`), {
          delegated: true,
          cname: target(`ready.${customer}`),
          delegation_target: target(`ready.${customer}`),
          persist: ["ca.test; accounturi=https://ca.test/1"]
        })
        yield* put(`_acme-challenge.other.${customer}`, "CNAME", `elsewhere.${customer}`)
        assert.deepInclude(yield* look(`other.${customer}`), { delegated: false, cname: `elsewhere.${customer}` })
      })
    )
  })
}
