/**
 * What stands around a connector under test: a real NATS, the sandbox's DNS with its API, and a lifecycle that keeps what it is told.
 *
 * Owns: starting them, and the form of zones and credentials. Leaves to the tests: what stands in which zone, and what is asked.
 */
import { randomUUID } from "node:crypto"
import { ownershipObserved, recordsApplied, recordsObserved } from "@connect-domain/messages/lifecycle.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { DnsServer } from "@connect-domain/sandbox/dns/DnsServer.ts"
import { PowerDnsApi } from "@connect-domain/sandbox/dns/PowerDnsApi.ts"
import { type RecordSet, ZoneStore } from "@connect-domain/sandbox/dns/ZoneStore.ts"
import { credentialPlace } from "@connect-domain/secrets/credentialPlace.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { ConfigProvider, Context, Effect, Layer, Queue } from "effect"
import { connector } from "../src/service.ts"

const key = Buffer.alloc(32, "connector test key 0123456789abc").toString("base64")
const vault = makeVault({ first: "k", keys: new Map([["k", new Uint8Array(Buffer.from(key, "base64"))]]) })

/** Everything outside the connector. `answers`: what the lifecycle was told, by connection. */
export class World extends Context.Service<
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

export const world = Layer.unwrap(
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

export const sealed = (token: unknown, provider = "powerdns"): SealedCredential => {
  const place = { credential_id: randomUUID(), tenant_id: "tenant" }
  return { ...place, provider, sealed: vault.seal(JSON.stringify(token), credentialPlace(place)) }
}
export const set = (name: string, type: string, ...contents: ReadonlyArray<string>): RecordSet => ({
  name: `${name}.`,
  type,
  ttl: 60,
  records: contents.map((content) => ({ content, disabled: false }))
})
export const newZone = (store: ZoneStore, name: string, ...sets: ReadonlyArray<RecordSet>) =>
  store.create(`${name}.`, "Native", [
    set(name, "SOA", `ns1.${name}. hostmaster.${name}. 1 1 1 1 5`),
    set(name, "NS", `ns1.${name}.`),
    ...sets
  ])
export const contents = (store: ZoneStore, zone: string, name: string, type: string) =>
  store.zones
    .get(`${zone}.`)
    ?.sets.get(`${name}.`)
    ?.get(type)
    ?.records.map((record) => record.content) ?? []
export const cname = (host: string) => ({ host, type: "CNAME" as const, value: "edge.connect.test", ttl: 300 })
