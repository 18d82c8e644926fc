/**
 * Everything of an edge that needs NATS.
 *
 * Owns: that it goes on: whatever ends a part of it, a defect too, the part begins again, and the others are not disturbed. Without it an edge
 * serves what it knows and learns nothing more. Leaves to each part's file: what is exchanged.
 */
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { ensureCertificate } from "@connect-domain/messages/certifier.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { type Deferred, Effect, Layer, Queue, Schedule } from "effect"
import { followApplications } from "./policy/followApplications.ts"
import type { Router } from "./Router.ts"
import { followRegistry } from "./registry/followRegistry.ts"
import type { Registry } from "./registry/Registry.ts"
import { sendHeartbeats } from "./registry/sendHeartbeats.ts"
import { sendForever, type Traffic } from "./traffic/sendTraffic.ts"

const version = "0.1.0"

/** One `ensure` per claim and minute, whatever number of handshakes asks. */
const sendEnsures = (wanted: Queue.Queue<HostnameEntry>) =>
  Effect.gen(function* () {
    const work = yield* Work
    const send = (entry: HostnameEntry) => {
      const { connection_id, tenant_id, claim_id, hostname, environment } = entry
      const id = `edge-ensure-${claim_id}-${Math.floor(Date.now() / 60_000)}`
      return Effect.ignore(work.send(ensureCertificate, { connection_id, tenant_id, claim_id, hostname, environment }, { id }))
    }
    yield* Effect.forever(Effect.flatMap(Queue.take(wanted), (entry) => Effect.forkChild(send(entry))))
  })

export interface Following {
  readonly registry: Registry
  readonly router: Router
  readonly wanted: Queue.Queue<HostnameEntry>
  readonly traffic: Traffic
  readonly edgeId: string
  /** Done when this edge begins to drain. */
  readonly leaving: Deferred.Deferred<void>
}

/** Begins again when it fails, by a defect too. */
const lasting = <A, E, R>(part: Effect.Effect<A, E, R>) =>
  part.pipe(
    Effect.sandbox,
    Effect.tapError((cause) => Effect.logWarning("control plane lost; serving on from memory", cause)),
    Effect.retry(Schedule.spaced("2 seconds"))
  )

/** Everything that needs NATS, connected in the background; one part's failure is not the others'. */
export const controlPlane = ({ registry, router, wanted, traffic, edgeId, leaving }: Following) => {
  const load = () => router.metrics.inFlight
  const parts = [
    followRegistry(registry, () => router.heard()),
    followApplications(router.applications),
    Effect.scoped(sendHeartbeats(registry, { edgeId, version, load, leaving })),
    sendEnsures(wanted),
    sendForever(traffic)
  ]
  const all = Effect.forEach(parts, (part) => lasting<unknown, unknown, Kv | Work | Calls>(part), {
    concurrency: "unbounded",
    discard: true
  })
  const layer = Layer.mergeAll(Calls.layer, Kv.layer, Work.layer).pipe(Layer.provideMerge(Layer.fresh(Nats.layer("router"))))
  return lasting(Effect.provide(all, layer, { local: true }))
}
