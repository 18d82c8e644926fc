/** The whole service against a real NATS: registry, certificates, challenges, heartbeat, snapshot. */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { type AddressInfo, connect as connectTcp } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { registryKey } from "@connect-domain/domain/Hostname.ts"
import { certificates, challenges, edges, type HostnameEntry, hostnames, metaKey } from "@connect-domain/messages/buckets.ts"
import { ensureCertificate } from "@connect-domain/messages/certifier.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { type NatsServer, startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { layer } from "./service.ts"
import { certificateEntry, hostnameEntry, makeAuthority, readAll, type TestAuthority, testRing } from "./testing/TestEdge.ts"

const kek = `t:${Buffer.from(testRing.keys.get("t")!).toString("base64")}`

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

interface Running {
  readonly http: number
  readonly https: number
  readonly environment: Readonly<Record<string, string>>
}

const environmentFor = (nats: NatsServer, folder: string) =>
  Effect.gen(function* () {
    const http = yield* freePort
    const https = yield* freePort
    const environment = {
      ...{ NATS_URL: nats.url, EDGE_KEK: kek, CD_NETWORK_ALLOW: "127.0.0.0/8", CD_EDGE_ID: "edge-1", CD_EDGE_SNAPSHOT_DIR: folder },
      ...{ CD_EDGE_HTTP_LISTEN: `127.0.0.1:${http}`, CD_EDGE_HTTPS_LISTEN: `127.0.0.1:${https}`, CD_LOG_LEVEL: "error" },
      ...{ CD_PUBLIC_HTTPS_PORT: String(https), CD_EDGE_DRAIN_SECONDS: "1" }
    }
    return { http, https, environment } satisfies Running
  })

const runRouter = (running: Running) =>
  Layer.build(layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(running.environment))))).pipe(Effect.asVoid)

const origin = Effect.acquireRelease(
  Effect.callback<{ url: string; close: () => void }>((resume) => {
    const server = createServer((_, response) => void response.end("from the origin")).listen(0, "127.0.0.1", () =>
      resume(Effect.succeed({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() }))
    )
  }),
  (server) => Effect.sync(() => server.close())
)

const ask = (running: Running, authority: TestAuthority, host: string) =>
  Effect.promise(
    () =>
      new Promise<string>((resolve) => {
        const socket = connectTls({ host: "127.0.0.1", port: running.https, servername: host, ca: authority.pem })
        socket.on("secureConnect", () => {
          socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
          void readAll(socket).then(resolve)
        })
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(`handshake: ${error.code}`))
      })
  )

const until = <A>(effect: Effect.Effect<A>, enough: (value: A) => boolean): Effect.Effect<A> =>
  Effect.flatMap(effect, (value) =>
    enough(value) ? Effect.succeed(value) : Effect.andThen(Effect.sleep("10 millis"), until(effect, enough))
  )

const control = (nats: NatsServer) =>
  Layer.mergeAll(Kv.layer, Work.layer).pipe(Layer.provideMerge(Nats.layer("lifecycle")), Layer.provide(nats.config))

const folderOf = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "connect-domain-edge-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Holds a name with a certificate, as lifecycle and certifier do it: certificate first. */
const publish = (authority: TestAuthority, hostname: string, fields: Partial<HostnameEntry>) =>
  Effect.gen(function* () {
    const kv = yield* Kv
    const certificate_id = `certificate-${hostname}-${Math.random().toString(36).slice(2)}`
    const entry = hostnameEntry(hostname, { certificate_id, ...fields })
    const certificate = yield* Effect.promise(() => certificateEntry(authority, [hostname], { certificate_id, claim_id: entry.claim_id }))
    yield* kv.bucket(certificates).put(certificate_id, certificate)
    const revision = yield* kv.bucket(hostnames).put(registryKey(hostname), entry)
    return { entry, revision }
  })

const applied = (revision: number) =>
  Effect.gen(function* () {
    const bucket = (yield* Kv).bucket(edges)
    return yield* until(Effect.orDie(bucket.get("edge-1")), (entry) => entry !== undefined && entry.value.revision >= revision)
  })

describe("the router service", () => {
  it.live("follows the registry: serves, renews, refuses a released name within a second, and boots from its snapshot without NATS", () =>
    Effect.gen(function* () {
      const nats = yield* startNats()
      const folder = yield* folderOf
      const running = yield* environmentFor(nats, folder)
      const authority = yield* Effect.promise(makeAuthority)
      const { url } = yield* origin
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* provision
          yield* runRouter(running)
          const kv = yield* Kv
          const first = yield* publish(authority, "one.example.org", { origin: url })
          const report = yield* applied(first.revision)
          assert.strictEqual(report?.value.hostnames, 1)
          assert.match(yield* ask(running, authority, "one.example.org"), /^HTTP\/1\.1 200 OK[\s\S]*from the origin$/)
          assert.match(yield* ask(running, authority, "unknown.example.org"), /^handshake: /)

          // Renewal: a connection that stands goes on, a new one gets the new certificate.
          const { revision } = yield* publish(authority, "one.example.org", { origin: url })
          yield* applied(revision)
          assert.match(yield* ask(running, authority, "one.example.org"), /200 OK/)

          // A certificate of another claim is never served (the next owner of a name).
          const other = yield* publish(authority, "two.example.org", { origin: url })
          yield* applied(other.revision)
          const stolen = yield* kv
            .bucket(hostnames)
            .put(registryKey("two.example.org"), { ...other.entry, claim_id: "next-owner", version: other.entry.version + 1000 })
          yield* applied(stolen)
          assert.match(yield* ask(running, authority, "two.example.org"), /^handshake: /)

          // Released: refused as soon as the edge says that it has applied it, which is at once.
          const third = yield* publish(authority, "three.example.org", { origin: url })
          yield* applied(third.revision)
          const gone = yield* kv
            .bucket(hostnames)
            .put(registryKey("three.example.org"), { ...third.entry, status: "released", version: third.entry.version + 1 })
          yield* applied(gone)
          assert.match(yield* ask(running, authority, "three.example.org"), /^handshake: /)
          // A late put can't revive it.
          const late = yield* kv.bucket(hostnames).put(registryKey("three.example.org"), third.entry)
          yield* applied(late)
          assert.match(yield* ask(running, authority, "three.example.org"), /^handshake: /)
        }).pipe(Effect.provide(control(nats), { local: true }))
      )
      yield* nats.stop("SIGKILL")
      // NATS is gone, the process is new.
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* runRouter(running)
          assert.match(yield* ask(running, authority, "one.example.org"), /200 OK/)
          assert.match(yield* ask(running, authority, "three.example.org"), /^handshake: /)

          // NATS comes back empty: nothing is dropped until a complete epoch says so.
          yield* nats.wipe
          yield* nats.start
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* provision
              const kv = yield* Kv
              const fourth = yield* publish(authority, "four.example.org", { origin: url })
              yield* applied(fourth.revision)
              assert.match(yield* ask(running, authority, "one.example.org"), /200 OK/)
              const meta = yield* kv.bucket(hostnames).put(metaKey, { epoch: "e2", complete: true, count: 1 })
              const report = yield* applied(meta)
              assert.strictEqual(report?.value.epoch, "e2")
              assert.strictEqual(report?.value.hostnames, 1)
              assert.match(yield* ask(running, authority, "one.example.org"), /^handshake: /)
              assert.match(yield* ask(running, authority, "four.example.org"), /200 OK/)
            }).pipe(Effect.provide(control(nats), { local: true }))
          )
        })
      )
    })
  )

  it.live("A14: answers only our own pending tokens, before the redirect", () =>
    Effect.gen(function* () {
      const nats = yield* startNats()
      const running = yield* environmentFor(nats, yield* folderOf)
      const authority = yield* Effect.promise(makeAuthority)
      yield* Effect.gen(function* () {
        yield* provision
        yield* runRouter(running)
        const kv = yield* Kv
        const { revision } = yield* publish(authority, "127.example.org", { origin: null })
        yield* applied(revision)
        const token = "tokentokentokentoken"
        const put = yield* kv
          .bucket(challenges)
          .put(token, { token, hostname: "127.example.org", key_authorization: `${token}.thumb` }, { ttlSeconds: 900 })
        yield* until(Effect.orDie(kv.bucket(edges).get("edge-1")), (entry) => (entry?.value.challenges_revision ?? 0) >= put)
        const raw = (host: string, path: string) =>
          Effect.promise(() => {
            const socket = connectTcp(running.http, "127.0.0.1")
            socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
            return readAll(socket)
          })
        assert.match(
          yield* raw("127.example.org", `/.well-known/acme-challenge/${token}`),
          /^HTTP\/1\.1 200 [\s\S]*tokentokentokentoken\.thumb$/
        )
        assert.match(yield* raw("other.example.org", `/.well-known/acme-challenge/${token}`), /^HTTP\/1\.1 404 /)
        for (const path of [`${token}x`, `x/../${token}`, `${token}/`, `${token}?a`, "", `%74${token.slice(1)}`]) {
          assert.match(yield* raw("127.example.org", `/.well-known/acme-challenge/${path}`), /^HTTP\/1\.1 404 /, path)
        }
        assert.match(
          yield* raw("127.example.org", "/a?b=c"),
          new RegExp(`^HTTP/1\\.1 308 [\\s\\S]*Location: https://127\\.example\\.org:${running.https}/a\\?b=c\r\n`)
        )
        yield* kv.bucket(challenges).delete(token)
        yield* until(raw("127.example.org", `/.well-known/acme-challenge/${token}`), (text) => text.startsWith("HTTP/1.1 404 "))
      }).pipe(Effect.provide(control(nats), { local: true }))
    })
  )

  it.live("A12: a held name without a certificate asks for one once, waits for it, and fails fast when none comes", () =>
    Effect.gen(function* () {
      const nats = yield* startNats()
      const running = yield* environmentFor(nats, yield* folderOf)
      const authority = yield* Effect.promise(makeAuthority)
      const { url } = yield* origin
      yield* Effect.gen(function* () {
        yield* provision
        yield* runRouter(running)
        const kv = yield* Kv
        const work = yield* Work
        const asked: Array<string> = []
        yield* work
          .consume("certifier_order", [
            handle(ensureCertificate, (payload) =>
              Effect.gen(function* () {
                asked.push(payload.hostname)
                if (payload.hostname === "soon.example.org")
                  yield* publish(authority, payload.hostname, { origin: url, claim_id: payload.claim_id })
              })
            )
          ])
          .pipe(Effect.provide(control(nats)))
        for (const hostname of ["soon.example.org", "never.example.org"]) {
          const revision = yield* kv.bucket(hostnames).put(registryKey(hostname), hostnameEntry(hostname, { origin: url }))
          yield* applied(revision)
        }
        const soon = yield* Effect.all(
          Array.from({ length: 20 }, () => ask(running, authority, "soon.example.org")),
          { concurrency: "unbounded" }
        )
        for (const answer of soon) assert.match(answer, /200 OK/)
        const never = yield* Effect.all(
          Array.from({ length: 50 }, () => ask(running, authority, "never.example.org")),
          { concurrency: "unbounded" }
        )
        for (const answer of never) assert.match(answer, /^handshake: /)
        assert.match(yield* ask(running, authority, "never.example.org"), /^handshake: /)
        assert.deepStrictEqual(asked, ["soon.example.org", "never.example.org"])
      }).pipe(Effect.provide(control(nats), { local: true }))
    })
  )
})
