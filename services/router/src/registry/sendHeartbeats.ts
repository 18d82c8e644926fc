/**
 * Tells the control plane what this edge has applied.
 *
 * Owns: the entry in `edges`: at once after applying (coalesced, at most 20 ms late), otherwise once a second. Leaves to lifecycle and certifier:
 * waiting for it. The entry expires by itself: an edge that is gone holds nobody up. One that drains takes its entry away at once, though it still
 * applies what comes: its ports are closed, so no name goes live and no CA comes by its word. The entry of a process that has taken its place stays.
 */
import { edges } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Clock, Deferred, Effect, Latch } from "effect"
import type { Registry } from "./Registry.ts"

const coalesceMillis = 10
const beatMillis = 1000
const ttlSeconds = 5

export interface HeartbeatOptions {
  readonly edgeId: string
  readonly version: string
  /** Requests in flight. */
  readonly load: () => number
  /** Done when this edge begins to drain. */
  readonly leaving: Deferred.Deferred<void>
}

/** Runs until this edge leaves. */
export const sendHeartbeats = (registry: Registry, { edgeId, version, load, leaving }: HeartbeatOptions) =>
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
    /** Of this process's last report; 0: it made none. */
    let revision = 0
    const beat = Effect.gen(function* () {
      touched.closeUnsafe()
      const at = new Date(yield* Clock.currentTimeMillis).toISOString()
      revision = yield* bucket.put(
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
      yield* Effect.raceFirst(Latch.await(touched), Deferred.await(leaving)).pipe(Effect.timeoutOption(beatMillis))
      yield* Effect.sleep(coalesceMillis)
    }).pipe(Effect.catch((error) => Effect.andThen(Effect.logDebug("heartbeat not sent", error), Effect.sleep(beatMillis))))
    // Not interrupted by the leaving: a report that is on its way would come after the end of the entry.
    const beats = Effect.whileLoop({ while: () => !Deferred.isDoneUnsafe(leaving), body: () => beat, step: () => {} })
    const takeAway = Effect.suspend(() => (revision === 0 ? Effect.void : bucket.delete(edgeId, { revision })))
    yield* Effect.onExit(beats, () => Effect.ignore(Effect.timeoutOption(takeAway, "500 millis")))
  })
