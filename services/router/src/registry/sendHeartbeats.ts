/**
 * Tells the control plane what this edge has applied.
 *
 * Owns: the entry in `edges`: at once after applying (coalesced, at most 20 ms late), otherwise once a second. Leaves to lifecycle and certifier:
 * waiting for it. The entry expires by itself: an edge that is gone holds nobody up.
 */
import { edges } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Clock, Effect, Latch } from "effect"
import type { Registry } from "./Registry.ts"

const coalesceMillis = 10
const beatMillis = 1000
const ttlSeconds = 5

export interface HeartbeatOptions {
  readonly edgeId: string
  readonly version: string
  /** Requests in flight. */
  readonly load: () => number
  /** NATS took a report: what the edge knows was true a moment ago. */
  readonly onSent: () => void
}

/** Runs for ever. */
export const sendHeartbeats = (registry: Registry, { edgeId, version, load, onSent }: HeartbeatOptions) =>
  Effect.gen(function* () {
    const bucket = (yield* Kv).bucket(edges)
    const touched = yield* Latch.make(false)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        registry.onApplied = () => touched.openUnsafe()
      }),
      () =>
        Effect.sync(() => {
          registry.onApplied = () => {}
        })
    )
    const beat = Effect.gen(function* () {
      touched.closeUnsafe()
      const at = new Date(yield* Clock.currentTimeMillis).toISOString()
      yield* bucket.put(
        edgeId,
        {
          edge_id: edgeId,
          at,
          epoch: registry.meta?.epoch ?? null,
          revision: registry.appliedRevision,
          challenges_revision: registry.seen.challenges,
          version,
          hostnames: registry.size,
          load: load()
        },
        { ttlSeconds }
      )
      onSent()
      yield* Latch.await(touched).pipe(Effect.timeoutOption(beatMillis))
      yield* Effect.sleep(coalesceMillis)
    }).pipe(
      Effect.catch((error) => Effect.andThen(Effect.logDebug("heartbeat not sent", error), Effect.sleep(beatMillis))),
      Effect.forever
    )
    // An edge that leaves says so: nobody waits for it.
    yield* Effect.onExit(beat, () => Effect.ignore(Effect.timeoutOption(bucket.delete(edgeId), "500 millis")))
  })
