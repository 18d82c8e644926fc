/**
 * What an edge hears from the control plane, on a real NATS: names, certificates, challenge tokens, and the edge's own report of what it applied.
 *
 * Owns: writing the buckets as lifecycle and certifier do it (certificate first), waiting for an edge to have applied a revision. Leaves to
 * `EdgeProcess.ts` and the tests: the edge. Promises, so that tests and long runs without Effect can use it.
 */
import { registryKey } from "@connect-domain/domain/Hostname.ts"
import { type CertificateEntry, certificates, challenges, edges, type HostnameEntry, hostnames } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { provision } from "@connect-domain/nats/provision.ts"
import { type NatsServer, startNats } from "@connect-domain/nats/testing/NatsServer.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { Effect, Layer, ManagedRuntime, Scope } from "effect"
import { certificateEntry, hostnameEntry, makeAuthority, type TestAuthority } from "./TestEdge.ts"

/** One NATS server, or several together. */
type Served = Pick<NatsServer, "url" | "config">

const messaging = (nats: Served) =>
  Layer.mergeAll(Kv.layer, Work.layer).pipe(Layer.provideMerge(Layer.fresh(Nats.layer("lifecycle"))), Layer.provide(nats.config))

export class ControlPlane<A extends Served = NatsServer> {
  readonly nats: A
  readonly authority: TestAuthority
  private readonly scope: Scope.Closeable
  private runtime: ManagedRuntime.ManagedRuntime<Kv | Work | Nats, unknown>

  private constructor(nats: A, authority: TestAuthority, scope: Scope.Closeable) {
    this.nats = nats
    this.authority = authority
    this.scope = scope
    this.runtime = ManagedRuntime.make(messaging(nats))
  }

  static start(): Promise<ControlPlane> {
    return ControlPlane.on(startNats())
  }

  static async on<A extends Served, E>(started: Effect.Effect<A, E, Scope.Scope>): Promise<ControlPlane<A>> {
    const scope = await Effect.runPromise(Scope.make())
    const nats = await Effect.runPromise(Scope.provide(started, scope))
    const plane = new ControlPlane(nats, await makeAuthority(), scope)
    await plane.run(Effect.provide(provision, nats.config))
    return plane
  }

  run<A, E>(effect: Effect.Effect<A, E, Kv | Work | Nats>): Promise<A> {
    return this.runtime.runPromise(effect)
  }

  /** Holds a name, with a certificate of its own unless `fields` name one. Returns the entry and the revision that says so. */
  async hold(hostname: string, fields: Partial<HostnameEntry> = {}): Promise<{ readonly entry: HostnameEntry; readonly revision: number }> {
    const certificate_id = `certificate-${hostname}-${Math.random().toString(36).slice(2)}`
    const entry = hostnameEntry(hostname, { certificate_id, ...fields })
    if (fields.certificate_id === undefined) {
      const certificate = await certificateEntry(this.authority, [hostname], { certificate_id, claim_id: entry.claim_id })
      await this.run(Effect.flatMap(Kv, (kv) => kv.bucket(certificates).put(certificate_id, certificate)))
    }
    return { entry, revision: await this.put(entry) }
  }

  /** What the certifier stored for this entry. */
  async certificate(entry: HostnameEntry): Promise<CertificateEntry> {
    const found = await this.run(Effect.flatMap(Kv, (kv) => kv.bucket(certificates).get(entry.certificate_id ?? "")))
    if (found === undefined) throw new Error(`${entry.hostname} has no certificate`)
    return found.value
  }

  /** The entry as it stands; returns the revision. */
  put(entry: HostnameEntry): Promise<number> {
    return this.run(Effect.flatMap(Kv, (kv) => kv.bucket(hostnames).put(registryKey(entry.hostname), entry)))
  }

  /** As lifecycle does it when a name is archived or its DNS left: a tombstone with a higher version; then the certifier removes the certificate. */
  async release(entry: HostnameEntry): Promise<number> {
    const revision = await this.put({ ...entry, status: "released", version: entry.version + 1 })
    const id = entry.certificate_id
    if (id !== null) await this.run(Effect.flatMap(Kv, (kv) => kv.bucket(certificates).delete(id)))
    return revision
  }

  /** Publishes a pending HTTP-01 token. */
  challenge(token: string, hostname: string, authorization: string): Promise<number> {
    const value = { token, hostname, key_authorization: authorization }
    return this.run(Effect.flatMap(Kv, (kv) => kv.bucket(challenges).put(token, value, { ttlSeconds: 900 })))
  }

  /** Resolves when `edge` (CD_EDGE_ID) reports to have applied everything up to `revision`. */
  async applied(edge: string, revision: number, what: "revision" | "challenges_revision" = "revision"): Promise<void> {
    for (;;) {
      const report = await this.run(Effect.flatMap(Kv, (kv) => Effect.orDie(kv.bucket(edges).get(edge))))
      if (report !== undefined && (report.value[what] ?? 0) >= revision) return
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  async stop(): Promise<void> {
    await this.runtime.dispose()
    await Effect.runPromise(Scope.close(this.scope, Effect.runSyncExit(Effect.void)))
  }
}
