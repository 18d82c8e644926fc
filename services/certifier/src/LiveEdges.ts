/**
 * Which edges are connected, and how much of the `challenges` bucket each has applied.
 *
 * Owns: following the `edges` bucket in memory; waiting for a revision. Leaves to the routers: reporting at once after applying.
 * Built against: a CA that asks an edge which has not heard of the token yet, and an edge that died holding everybody up (its heartbeat
 * ages by our clock, not by the edge's).
 */

import { edges } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Context, Effect, Layer, PubSub, Stream } from "effect"

interface Edge {
  readonly challengesRevision: number
  readonly heardAt: number
}

/** A heartbeat older than this belongs to an edge that is gone, milliseconds. */
export const liveMillis = 3_000
/** Waiting for edges never takes longer, milliseconds: the CA asks several times, from several places. */
export const patienceMillis = 1_000

export class LiveEdges extends Context.Service<
  LiveEdges,
  {
    /** Returns true once every live edge has applied `revision` of the challenges, false after a second without that. */
    readonly awaitChallenges: (revision: number) => Effect.Effect<boolean>
    /** True as soon as an edge is connected, false after a second without one. */
    readonly awaitConnected: Effect.Effect<boolean>
    /** Ids of the edges that are connected now. */
    readonly connected: Effect.Effect<ReadonlyArray<string>>
    /** Each element: the bucket was read anew from its beginning (at the start, and after a wipe). */
    readonly resets: Stream.Stream<void>
  }
>()("certifier/LiveEdges") {
  static readonly layer = Layer.effect(
    LiveEdges,
    Effect.gen(function* () {
      const bucket = (yield* Kv).bucket(edges)
      const known = new Map<string, Edge>()
      const waiting = new Set<() => void>()
      const resets = yield* PubSub.sliding<void>({ capacity: 1, replay: 1 })

      yield* bucket.watch.pipe(
        Stream.runForEach((event) =>
          Effect.suspend(() => {
            if (event.type === "reset") {
              known.clear()
              return PubSub.publish(resets, undefined)
            }
            if (event.type === "entry") {
              if (event.value === undefined) known.delete(event.key)
              else {
                // The bucket may still hold the last word of an edge that is long gone: at first sight its own clock counts.
                const age = known.has(event.key) ? 0 : Math.max(0, Date.now() - Date.parse(event.value.at))
                known.set(event.key, { challengesRevision: event.value.challenges_revision, heardAt: performance.now() - age })
              }
              for (const look of waiting) look()
            }
            return Effect.void
          })
        ),
        Effect.forkScoped
      )

      const live = () => [...known].filter(([, edge]) => performance.now() - edge.heardAt < liveMillis)

      const awaitEdges = (isEnough: (connected: ReadonlyArray<Edge>) => boolean) =>
        Effect.callback<boolean>((resume) => {
          const look = () => {
            const connected = live().map(([, edge]) => edge)
            if (connected.length > 0 && isEnough(connected)) resume(Effect.succeed(true))
          }
          waiting.add(look)
          look()
          return Effect.sync(() => waiting.delete(look))
        }).pipe(Effect.timeoutOrElse({ duration: patienceMillis, orElse: () => Effect.succeed(false) }))

      return LiveEdges.of({
        connected: Effect.sync(() => live().map(([id]) => id)),
        awaitConnected: awaitEdges(() => true),
        awaitChallenges: (revision) => awaitEdges((connected) => connected.every((edge) => edge.challengesRevision >= revision)),
        resets: Stream.fromPubSub(resets)
      })
    })
  )
}
