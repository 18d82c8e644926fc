/**
 * Everybody whom the lifecycle talks to, played by a test with the same definitions: the customer's DNS, a connector, a certifier, an edge.
 *
 * Owns: what stands in the DNS and what was asked. Each player can be told to be away or to fail.
 */
import { acmePersistName } from "@connect-domain/domain/acmeNames.ts"
import {
  type ApplicationEntry,
  applications,
  certificates,
  edges,
  type HostnameEntry,
  hostnames,
  metaKey
} from "@connect-domain/messages/buckets.ts"
import { ensureCertificate, persistRecord, releaseCertificate } from "@connect-domain/messages/certifier.ts"
import { applyChange, lookOwnership, lookRecords, observeOwnership, observeRecords } from "@connect-domain/messages/connector.ts"
import { certificateChanged, ownershipObserved, recordsApplied, recordsObserved } from "@connect-domain/messages/lifecycle.ts"
import type { DesiredRecord, OwnershipLook, RecordsLook, Verdict } from "@connect-domain/messages/record.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { Effect, Layer, Schedule, Stream } from "effect"

export class World {
  /** Challenge values that can be seen, and host names whose records are right. */
  readonly proofs = new Set<string>()
  readonly pointed = new Set<string>()
  /** Single records that can be seen, by their host. */
  readonly standing = new Set<string>()
  /** What customers may set once for their certificates (DNS-PERSIST-01). */
  lasting: ReadonlyArray<string> = []
  unreachable = false
  certifierWorks = true
  edgeConnected = true
  edgeApplies = true
  readonly looks: Array<string> = []
  /** `certified`: a certificate had been ordered before this write was asked for. */
  readonly writes: Array<{
    readonly purpose: string
    readonly hostname: string
    readonly credentials: number
    readonly certified: boolean
  }> = []
  readonly orders = new Map<string, number>()
  readonly wishes: Array<{ readonly hostname: string; readonly reason: string | undefined }> = []
  readonly released: Array<string> = []
  /** What the edge serves: host name → certificate id. */
  readonly served = new Map<string, string | null>()
  readonly entries = new Map<string, HostnameEntry>()
  readonly applications = new Map<string, ApplicationEntry>()
  meta: { readonly epoch: string; readonly complete: boolean; readonly count: number } | undefined
  private appliedRevision = 0

  /** Where the edge sends visitors of this name. */
  originOf(hostname: string): string | null | undefined {
    const entry = this.entries.get(hostname)
    const application = this.applications.get(entry?.application_id ?? "")
    return entry?.flags.origin === "application" && application !== undefined ? application.origin : entry?.origin
  }

  verdict(right: boolean): Verdict {
    return this.unreachable ? "unknown" : right ? "match" : "mismatch"
  }

  lookAtOwnership(name: string, value: string): OwnershipLook {
    const verdict = this.verdict(this.proofs.has(value))
    return { name, expected: value, verdict, servers: [], looked_at: new Date().toISOString() }
  }

  lookAtRecords(hostname: string, records: ReadonlyArray<DesiredRecord>): RecordsLook {
    const seen = records.map(({ host, type, value, required }) => {
      const isWeb = !host.startsWith("_acme-challenge.") && !host.startsWith("_validation-persist.")
      const verdict = this.verdict(this.standing.has(host) || (isWeb && this.pointed.has(hostname)))
      const right = verdict === "match"
      return { host, type, value, verdict, required, observed_value: right ? value : null, observed_ttl: right ? 300 : null, servers: [] }
    })
    const waitedFor = seen.filter(({ required }) => required !== false)
    return {
      verdict: this.verdict(waitedFor.every(({ verdict }) => verdict === "match")),
      looked_at: new Date().toISOString(),
      records: seen.map(({ required: _, ...look }) => look)
    }
  }

  readonly layer = Layer.mergeAll(
    this.connector().pipe(Layer.provide(Layer.fresh(messaging("connector")))),
    this.certifier().pipe(Layer.provide(Layer.fresh(messaging("certifier")))),
    this.router().pipe(Layer.provide(Layer.fresh(messaging("router"))))
  )

  private connector() {
    return Layer.effectDiscard(
      Effect.gen({ self: this }, function* () {
        const work = yield* Work
        const calls = yield* Calls
        yield* work.consume(
          "connector_observer",
          [
            handle(lookOwnership, ({ connection_id, version, name, value, hostname }, { id }) => {
              this.looks.push(`ownership ${hostname}`)
              return work.send(
                ownershipObserved,
                { connection_id, version, look: this.lookAtOwnership(name, value) },
                { id: `${id}.answer` }
              )
            }),
            handle(lookRecords, ({ connection_id, version, hostname, records }, { id }) => {
              this.looks.push(`records ${hostname}`)
              return work.send(
                recordsObserved,
                { connection_id, version, look: this.lookAtRecords(hostname, records) },
                { id: `${id}.answer` }
              )
            })
          ],
          { concurrency: 128 }
        )
        yield* work.consume("connector_zone", [
          handle(applyChange, ({ connection_id, version, purpose, hostname, records, credentials }, { id }) => {
            this.writes.push({ purpose, hostname, credentials: credentials.length, certified: this.orders.has(connection_id) })
            if (purpose === "challenge") for (const { value } of records) this.proofs.add(value)
            if (purpose === "cleanup") for (const { value } of records) this.proofs.delete(value)
            if (purpose === "records") this.pointed.add(hostname)
            const answer = { connection_id, version, purpose, provider: credentials[0]?.provider ?? null, failure: null }
            return work.send(recordsApplied, answer, { id: `${id}.answer` })
          })
        ])
        yield* calls.serve(observeOwnership, ({ name, value, hostname }) => {
          this.looks.push(`ownership ${hostname}`)
          return Effect.as(Effect.sleep("20 millis"), this.lookAtOwnership(name, value))
        })
        yield* calls.serve(observeRecords, ({ hostname, records }) => Effect.sync(() => this.lookAtRecords(hostname, records)))
      })
    )
  }

  private certifier() {
    return Layer.effectDiscard(
      Effect.gen({ self: this }, function* () {
        const work = yield* Work
        const bucket = (yield* Kv).bucket(certificates)
        yield* (yield* Calls).serve(persistRecord, ({ hostname }) =>
          Effect.sync(() => ({ name: acmePersistName(hostname), values: this.lasting }))
        )
        yield* work.consume(
          "certifier_order",
          [
            handle(ensureCertificate, ({ connection_id, claim_id, hostname, reason }) => {
              this.wishes.push({ hostname, reason })
              if (!this.certifierWorks) return Effect.void
              this.orders.set(claim_id, (this.orders.get(claim_id) ?? 0) + 1)
              const certificate_id = `cert-${claim_id}`
              const [not_before, not_after] = ["2026-01-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z"]
              const stored = {
                certificate_id,
                claim_id,
                hostnames: [hostname],
                chain: "",
                sealed_key: "",
                serial: "01",
                not_before,
                not_after
              }
              const certificate = { status: "issued" as const, not_before, not_after, ca: "test", serial: "01" }
              return Effect.andThen(
                bucket.put(certificate_id, stored),
                work.send(
                  certificateChanged,
                  { connection_id, claim_id, change: "issued", certificate_id, certificate },
                  { id: `${certificate_id}.issued` }
                )
              )
            }),
            handle(releaseCertificate, ({ claim_id }) => Effect.sync(() => void this.released.push(claim_id)))
          ],
          { concurrency: 128 }
        )
      })
    )
  }

  private router() {
    return Layer.effectDiscard(
      Effect.gen({ self: this }, function* () {
        const kv = yield* Kv
        const heartbeats = kv.bucket(edges)
        const report = Effect.suspend(() =>
          heartbeats.put(
            "edge-1",
            {
              edge_id: "edge-1",
              at: new Date().toISOString(),
              epoch: this.meta?.epoch ?? null,
              revision: this.appliedRevision,
              challenges_revision: 0,
              version: "test",
              hostnames: this.served.size,
              load: 0
            },
            { ttlSeconds: 10 }
          )
        ).pipe(Effect.ignore)
        let due = false
        const soon = Effect.suspend(() => {
          if (due || !this.edgeConnected) return Effect.void
          due = true
          const done = Effect.sync(() => {
            due = false
          })
          return Effect.sleep("5 millis").pipe(Effect.andThen(done), Effect.andThen(report))
        })
        yield* kv.bucket(hostnames).watch.pipe(
          Stream.runForEach((event) => {
            if (!this.edgeApplies) return Effect.void
            if (event.type === "reset") this.appliedRevision = 0
            if (event.type === "complete") this.appliedRevision = Math.max(this.appliedRevision, event.revision)
            if (event.type === "entry") {
              this.appliedRevision = event.revision
              if (event.key === metaKey) this.meta = event.value as typeof this.meta
              else if (event.value !== undefined && "hostname" in event.value) this.apply(event.value)
            }
            return Effect.asVoid(Effect.forkDetach(soon))
          }),
          Effect.forkScoped
        )
        yield* kv.bucket(applications).watch.pipe(
          Stream.runForEach((event) =>
            Effect.sync(() => {
              if (event.type !== "entry") return
              if (event.value === undefined) this.applications.delete(event.key)
              else this.applications.set(event.key, event.value)
            })
          ),
          Effect.forkScoped
        )
        const beat = Effect.suspend(() => (this.edgeConnected ? report : Effect.void))
        yield* Effect.forkScoped(Effect.repeat(beat, Schedule.spaced("500 millis")))
      })
    )
  }

  private apply(entry: HostnameEntry) {
    this.entries.set(entry.hostname, entry)
    if (entry.status === "held") this.served.set(entry.hostname, entry.certificate_id)
    else this.served.delete(entry.hostname)
  }
}
