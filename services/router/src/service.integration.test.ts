/** The whole service against a real NATS: registry, certificates, challenges, heartbeat, snapshot. */
import { once } from "node:events"
import { connect as connectTcp } from "node:net"
import { connect as connectTls } from "node:tls"
import { registryKey } from "@connect-domain/domain/Hostname.ts"
import { challenges, edges, hostnames, metaKey } from "@connect-domain/messages/buckets.ts"
import { ensureCertificate } from "@connect-domain/messages/certifier.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { applied, ask, control, environmentFor, folderOf, origin, publish, runRouter, until } from "./testing/runningRouter.ts"
import { hostnameEntry, makeAuthority, readAll } from "./testing/TestEdge.ts"

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

          // Its own place is no origin: it would redirect itself.
          const self = yield* publish(authority, "self.example.org", { origin: `http://127.0.0.1:${running.http}` })
          yield* applied(self.revision)
          assert.match(yield* ask(running, authority, "self.example.org"), /^HTTP\/1\.1 502 /)

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

  it.live("learns names beside an entry whose certificate can't exist, and begins again after a defect", () =>
    Effect.gen(function* () {
      const nats = yield* startNats()
      const running = yield* environmentFor(nats, yield* folderOf)
      const authority = yield* Effect.promise(makeAuthority)
      const { url } = yield* origin
      yield* Effect.gen(function* () {
        yield* provision
        const kv = yield* Kv
        const hold = (hostname: string) => publish(authority, hostname, { origin: url })
        const served = (port: { readonly https: number }, hostname: string) =>
          until(ask({ ...running, ...port }, authority, hostname), (answer) => answer.includes("200 OK"))
        const impossible = hostnameEntry("impossible.example.org", { origin: url, certificate_id: "a..b c" })
        const revision = yield* kv.bucket(hostnames).put(registryKey(impossible.hostname), impossible)
        yield* runRouter(running)
        // Reported as applied: nothing waits for the certificate.
        yield* applied(revision)
        yield* hold("after.example.org")
        yield* served(running, "after.example.org")

        // Its heartbeats are a defect: an id that is no key, which the check of its settings would have refused.
        const broken = yield* environmentFor(nats, yield* folderOf)
        yield* runRouter({ ...broken, environment: { ...broken.environment, CD_EDGE_ID: "edge..1" } })
        yield* Effect.sleep("1 second")
        yield* hold("later.example.org")
        yield* served(broken, "later.example.org")
      }).pipe(Effect.provide(control(nats), { local: true }))
    })
  )

  it.live("E14: an edge that drains reports no more, follows on, and leaves the entry of the process that takes its place", () =>
    Effect.gen(function* () {
      const nats = yield* startNats()
      const base = yield* environmentFor(nats, yield* folderOf)
      const running = { ...base, environment: { ...base.environment, CD_EDGE_DRAIN_SECONDS: "60" } }
      const authority = yield* Effect.promise(makeAuthority)
      const { url } = yield* origin
      yield* Effect.gen(function* () {
        yield* provision
        const entry = Effect.map(Effect.orDie((yield* Kv).bucket(edges).get("edge-1")), (found) => found?.value)
        const scope = yield* Scope.make()
        yield* Scope.provide(runRouter(running), scope)
        const first = yield* publish(authority, "one.example.org", { origin: url })
        yield* applied(first.revision)
        // In flight for as long as the test wants it.
        const held = connectTls({ host: "127.0.0.1", port: running.https, servername: "one.example.org", ca: authority.pem })
        yield* Effect.promise(() => once(held, "secureConnect"))
        held.write("POST / HTTP/1.1\r\nHost: one.example.org\r\nContent-Length: 4\r\n\r\nab")
        const drained = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* until(entry, (value) => value === undefined)
        const second = yield* publish(authority, "two.example.org", { origin: url })
        yield* Effect.sleep("2500 millis")
        assert.isUndefined(yield* entry)

        // Another process with this id, in another folder, while the first one drains.
        const next = yield* environmentFor(nats, yield* folderOf)
        yield* runRouter(next)
        yield* applied(second.revision)
        held.end("cd")
        yield* Fiber.join(drained)
        assert.isDefined(yield* entry)
      }).pipe(Effect.provide(control(nats), { local: true }))
    })
  )
})
