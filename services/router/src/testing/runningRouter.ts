/**
 * The whole router service for a test, beside a real NATS: its settings, names to serve as lifecycle and certifier publish them, a visitor.
 *
 * Owns: free ports and a folder for each. Leaves to the test: when the service starts and ends, within its scope.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { registryKey } from "@connect-domain/domain/Hostname.ts"
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { certificates, edges, type HostnameEntry, hostnames } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import type { NatsServer } from "@connect-domain/nats/testing/NatsServer.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { ConfigProvider, Effect, Layer } from "effect"
import { layer } from "../service.ts"
import { certificateEntry, hostnameEntry, readAll, type TestAuthority, testRing } from "./TestEdge.ts"

const kek = `t:${Buffer.from(testRing.keys.get("t")!).toString("base64")}`

interface Running {
  readonly http: number
  readonly https: number
  readonly environment: Readonly<Record<string, string>>
}

export const environmentFor = (nats: NatsServer, folder: string) =>
  Effect.gen(function* () {
    const [http, https] = (yield* Effect.promise(() => freePorts(2))) as [number, number]
    const environment = {
      ...{ NATS_URL: nats.url, EDGE_KEK: kek, CD_NETWORK_ALLOW: "127.0.0.0/8", CD_EDGE_ID: "edge-1", CD_EDGE_SNAPSHOT_DIR: folder },
      ...{ CD_EDGE_HTTP_LISTEN: `127.0.0.1:${http}`, CD_EDGE_HTTPS_LISTEN: `127.0.0.1:${https}`, CD_LOG_LEVEL: "error" },
      ...{ CD_PUBLIC_HTTPS_PORT: String(https), CD_EDGE_DRAIN_SECONDS: "1", CD_EDGE_ADDRESSES: "127.0.0.1" }
    }
    return { http, https, environment } satisfies Running
  })

export const runRouter = (running: Running) =>
  Layer.build(layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(running.environment))))).pipe(Effect.asVoid)

export const origin = Effect.acquireRelease(
  Effect.callback<{ url: string; close: () => void }>((resume) => {
    const server = createServer((_, response) => void response.end("from the origin")).listen(0, "127.0.0.1", () =>
      resume(Effect.succeed({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() }))
    )
  }),
  (server) => Effect.sync(() => server.close())
)

export const ask = (running: Running, authority: TestAuthority, host: string) =>
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

export const until = <A>(effect: Effect.Effect<A>, enough: (value: A) => boolean): Effect.Effect<A> =>
  Effect.flatMap(effect, (value) =>
    enough(value) ? Effect.succeed(value) : Effect.andThen(Effect.sleep("10 millis"), until(effect, enough))
  )

export const control = (nats: NatsServer) =>
  Layer.mergeAll(Kv.layer, Work.layer).pipe(Layer.provideMerge(Nats.layer("lifecycle")), Layer.provide(nats.config))

export const folderOf = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "connect-domain-edge-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Holds a name with a certificate, as lifecycle and certifier do it: certificate first. */
export const publish = (authority: TestAuthority, hostname: string, fields: Partial<HostnameEntry>) =>
  Effect.gen(function* () {
    const kv = yield* Kv
    const certificate_id = `certificate-${hostname}-${Math.random().toString(36).slice(2)}`
    const entry = hostnameEntry(hostname, { certificate_id, ...fields })
    const certificate = yield* Effect.promise(() => certificateEntry(authority, [hostname], { certificate_id, claim_id: entry.claim_id }))
    yield* kv.bucket(certificates).put(certificate_id, certificate)
    const revision = yield* kv.bucket(hostnames).put(registryKey(hostname), entry)
    return { entry, revision }
  })

export const applied = (revision: number) =>
  Effect.gen(function* () {
    const bucket = (yield* Kv).bucket(edges)
    return yield* until(Effect.orDie(bucket.get("edge-1")), (entry) => entry !== undefined && entry.value.revision >= revision)
  })
