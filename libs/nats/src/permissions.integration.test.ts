/** What each service may publish and read, asked of a real server: each subject class under each user, and the ways around. */
import { commitConnect, reserveConnect } from "@connect-domain/messages/billing.ts"
import { challenges, edges, hostnames } from "@connect-domain/messages/buckets.ts"
import { allBuckets } from "@connect-domain/messages/catalogue.ts"
import { ensureCertificate } from "@connect-domain/messages/certifier.ts"
import { type Sender, type ServiceName, serviceNames } from "@connect-domain/messages/definition.ts"
import { assert, describe, layer } from "@effect/vitest"
import { connect, type NatsConnection, nkeyAuthenticator, PermissionViolationError } from "@nats-io/transport-node"
import { ConfigProvider, Context, Deferred, Effect, Layer, Stream } from "effect"
import { nextAtLeader } from "./bucketStream.ts"
import { Calls } from "./Calls.ts"
import { Kv } from "./Kv.ts"
import { messaging } from "./messaging.ts"
import { Nats } from "./Nats.ts"
import { provision } from "./provision.ts"
import { createUsers } from "./serverConfiguration.ts"
import { startNats } from "./testing/NatsServer.ts"
import { mayPublish, maySubscribe } from "./testing/permissionTables.ts"
import { handle, Work } from "./Work.ts"

class Server extends Context.Service<Server, { readonly url: string; readonly seeds: ReadonlyMap<Sender, string> }>()(
  "test/AuthenticatedNats"
) {
  static readonly layer = Layer.effect(
    Server,
    Effect.gen(function* () {
      const users = createUsers()
      const server = yield* startNats({ users })
      const seeds = new Map(users.map(({ name, seed }) => [name, seed]))
      yield* provision.pipe(Effect.provide(messagingFor("lifecycle", server.url, seeds)))
      return { url: server.url, seeds }
    })
  )
}

const messagingFor = (service: Sender, url: string, seeds: ReadonlyMap<Sender, string>) =>
  Layer.fresh(messaging(service)).pipe(
    Layer.provide(
      ConfigProvider.layer(ConfigProvider.fromEnvRecord({ NATS_URL: url, [`CD_${service.toUpperCase()}_NATS_SEED`]: seeds.get(service)! }))
    )
  )

const as = (service: Sender) => Layer.unwrap(Effect.map(Server, ({ url, seeds }) => messagingFor(service, url, seeds)))

/** The operations on these subjects that the server refused. The answer to a ping comes after every refusal. */
const refusals = async (connection: NatsConnection, act: () => void): Promise<ReadonlySet<string>> => {
  const refused = new Set<string>()
  const statuses = connection.status()
  const reading = (async () => {
    for await (const status of statuses) {
      if (status.type === "error" && status.error instanceof PermissionViolationError) refused.add(status.error.subject)
    }
  })()
  act()
  await connection.flush()
  await connection.flush()
  ;(statuses as unknown as { readonly stop: () => void }).stop()
  await reading
  return refused
}

const registryRevision = Effect.gen(function* () {
  const bucket = (yield* Kv).bucket(hostnames)
  const [complete] = yield* Stream.runCollect(
    Stream.take(
      Stream.filter(bucket.watch, (event) => event.type === "complete"),
      1
    )
  )
  return complete?.type === "complete" ? complete.revision : 0
}).pipe(Effect.provide(as("lifecycle"), { local: true }))

describe("permissions", () => {
  layer(Server.layer, { excludeTestServices: true })((it) => {
    for (const service of serviceNames) {
      it.effect(`${service}: each subject class`, () =>
        Effect.gen(function* () {
          const { url, seeds } = yield* Server
          const connection = yield* Effect.acquireRelease(
            Effect.promise(() =>
              connect({
                servers: url,
                inboxPrefix: `_INBOX_${service}`,
                authenticator: nkeyAuthenticator(new TextEncoder().encode(seeds.get(service)))
              })
            ),
            (open) => Effect.promise(() => open.close())
          )
          const table = (allowed: Readonly<Record<string, ReadonlyArray<ServiceName>>>, refused: ReadonlySet<string>) =>
            Object.keys(allowed).map((subject) => `${subject}: ${refused.has(subject) ? "deny" : "allow"}`)
          const expected = (allowed: Readonly<Record<string, ReadonlyArray<ServiceName>>>) =>
            Object.entries(allowed).map(([subject, who]) => `${subject}: ${who.includes(service) ? "allow" : "deny"}`)
          const published = yield* Effect.promise(() =>
            refusals(connection, () => {
              for (const subject of Object.keys(mayPublish)) connection.publish(subject, "{}")
            })
          )
          assert.deepStrictEqual(table(mayPublish, published), expected(mayPublish))
          const subscribed = yield* Effect.promise(() =>
            refusals(connection, () => {
              for (const subject of Object.keys(maySubscribe)) connection.subscribe(subject, { callback: () => {} })
            })
          )
          assert.deepStrictEqual(table(maySubscribe, subscribed), expected(maySubscribe))
        })
      )
    }

    it.effect("the edge can't have the server reply into the registry for it", () =>
      Effect.gen(function* () {
        const { url, seeds } = yield* Server
        const target = "$KV.hostnames.com.victim"
        const attempts = (connection: NatsConnection) => {
          connection.publish("$KV.edges.mallory", JSON.stringify({ hostname: "victim.com", origin: "https://evil.test" }))
          connection.publish("$JS.API.DIRECT.GET.KV_edges.$KV.edges.mallory", "", { reply: target })
          connection.publish("$JS.API.DIRECT.GET.KV_edges", '{"seq":1,"batch":10}', { reply: target })
          connection.publish("$JS.API.STREAM.INFO.KV_hostnames", "", { reply: target })
          connection.publish("$KV.edges.mallory", "{}", { reply: target })
        }
        const before = yield* registryRevision
        for (const service of ["router", "operator"] as const) {
          const connection = yield* Effect.promise(() =>
            connect({
              servers: url,
              inboxPrefix: `_INBOX_${service}`,
              authenticator: nkeyAuthenticator(new TextEncoder().encode(seeds.get(service)))
            })
          )
          attempts(connection)
          yield* Effect.promise(() => connection.flush())
          yield* Effect.sleep("200 millis")
          const after = yield* registryRevision
          // The operator may do everything: his attempts show that the trick works where accounts don't stop it.
          if (service === "router") assert.strictEqual(after, before)
          else assert.isAbove(after, before)
          yield* Effect.promise(() => connection.close())
        }
      })
    )

    it.effect("nobody gets in without a key, or with a foreign one", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const stranger = createUsers()[0]!.seed
        for (const options of [{}, { authenticator: nkeyAuthenticator(new TextEncoder().encode(stranger)) }]) {
          const outcome = yield* Effect.promise(() =>
            connect({ servers: url, reconnect: false, ...options }).then(
              () => "in",
              () => "refused"
            )
          )
          assert.strictEqual(outcome, "refused")
        }
      })
    )

    it.effect("every service can do its own work under its own user", () =>
      Effect.gen(function* () {
        for (const service of serviceNames) {
          yield* Effect.gen(function* () {
            const kv = yield* Kv
            for (const definition of allBuckets) {
              if (!definition.readers.includes(service)) continue
              const bucket = kv.bucket(definition)
              yield* bucket.keys
              yield* bucket.get("nothing")
              const events = yield* Stream.runCollect(Stream.takeUntil(bucket.watch, (event) => event.type === "complete"))
              assert.strictEqual(events[0]?.type, "reset")
            }
          }).pipe(Effect.provide(as(service)), Effect.timeout("60 seconds"))
        }
      })
    )

    it.effect("calls, work and buckets cross services; the edge reads what it may not write", () =>
      Effect.gen(function* () {
        const done = yield* Deferred.make<string>()
        const billing = yield* Layer.build(as("billing"))
        yield* Context.get(billing, Calls).serve(reserveConnect, () => Effect.succeed({}))
        yield* Context.get(billing, Work).consume("billing_reservation", [
          handle(commitConnect, ({ connection_id }) => Deferred.succeed(done, connection_id))
        ])
        const gateway = yield* Layer.build(as("gateway"))
        const lifecycle = yield* Layer.build(as("lifecycle"))
        const router = yield* Layer.build(as("router"))
        const certifier = yield* Layer.build(as("certifier"))
        assert.deepStrictEqual(yield* Context.get(gateway, Calls).request(reserveConnect, { tenant_id: "t", connection_id: "c" }), {})
        yield* Context.get(lifecycle, Work).send(commitConnect, { tenant_id: "t", connection_id: "c9", created_at: "now" }, { id: "c9" })
        assert.strictEqual(yield* Deferred.await(done), "c9")
        const meta = { epoch: "e", complete: true, count: 0 }
        yield* Context.get(lifecycle, Kv).bucket(hostnames).put("_meta", meta)
        const registry = Context.get(router, Kv).bucket(hostnames)
        assert.deepStrictEqual((yield* registry.get("_meta"))?.value, meta)
        assert.strictEqual((yield* Effect.flip(registry.put("_meta", meta)))._tag, "NatsUnavailable")
        yield* Context.get(certifier, Kv)
          .bucket(challenges)
          .put("t1", { token: "t1", hostname: "a", key_authorization: "k" }, { ttlSeconds: 900 })
        const atLeader = (from: number) => Effect.promise(() => nextAtLeader(Context.get(router, Nats), "challenges", from))
        const { revision, ...stored } = (yield* atLeader(1))!
        assert.deepInclude(stored, { key: "t1", deleted: false })
        assert.include(new TextDecoder().decode(stored.data), '"key_authorization":"k"')
        yield* Context.get(certifier, Kv).bucket(challenges).delete("t1")
        assert.deepInclude(yield* atLeader(revision), { key: "t1", deleted: true })
        assert.isUndefined(yield* atLeader(revision + 2))
        yield* Context.get(router, Work).send(
          ensureCertificate,
          { connection_id: "c1", tenant_id: "t", claim_id: "cl", hostname: "a.test", environment: "test" },
          { id: "ensure-c1" }
        )
        yield* Context.get(router, Kv)
          .bucket(edges)
          .put(
            "e1",
            { edge_id: "e1", at: "now", epoch: null, revision: 0, challenges_revision: 0, version: "1", hostnames: 0, load: 0 },
            { ttlSeconds: 5 }
          )
      }).pipe(Effect.timeout("60 seconds"))
    )
  })
})
