/**
 * Which edges are connected, and how far each has applied the registry.
 *
 * Owns: the view of the `edges` bucket, and waiting for a revision. Leaves to routers: reporting what they have applied, certificates
 * included; to the connection actor: what follows.
 * Built against: `live` answered while an edge still refuses the name, an edge that hangs and holds everybody up (two seconds, then a
 * warning metric), and edges that died without saying so (a heartbeat older than three seconds does not count).
 */
import { type EdgeEntry, edges } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Context, Deferred, Effect, Layer, Metric, Stream } from "effect"

const heartbeatMillis = 3_000
const patienceMillis = 2_000

const lateEdges = Metric.counter("lifecycle_edges_late_total", {
  description: "hostnames that went live although a connected edge had not applied them within 2 s",
  incremental: true
})

interface Edge {
  readonly heardAt: number
  readonly epoch: string | null
  readonly revision: number
}

export interface Position {
  readonly epoch: string
  readonly revision: number
}

export class Edges extends Context.Service<
  Edges,
  {
    /** Returns when every connected edge has applied the position, or had two seconds to do so. Waits for ever while none is connected. */
    readonly applied: (position: Position) => Effect.Effect<void>
    readonly connected: () => number
  }
>()("lifecycle/Edges") {
  static readonly layer = Layer.effect(
    Edges,
    Effect.gen(function* () {
      const kv = yield* Kv
      const known = new Map<string, Edge>()
      const waiting = new Map<Deferred.Deferred<void>, Position>()
      /** Released when an edge says anything: those who found none connected look again. */
      let anyNews = Deferred.makeUnsafe<void>()

      const connected = (): ReadonlyArray<Edge> => [...known.values()].filter((edge) => edge.heardAt > Date.now() - heartbeatMillis)
      const has = (live: ReadonlyArray<Edge>, { epoch, revision }: Position): boolean =>
        live.length > 0 && live.every((edge) => edge.epoch === epoch && edge.revision >= revision)
      const news = () => {
        const live = connected()
        for (const [deferred, position] of waiting) if (has(live, position)) Deferred.doneUnsafe(deferred, Effect.void)
        Deferred.doneUnsafe(anyNews, Effect.void)
        anyNews = Deferred.makeUnsafe<void>()
      }

      yield* kv.bucket(edges).watch.pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            if (event.type === "reset") known.clear()
            if (event.type === "entry") heard(known, event.key, event.value)
            news()
          })
        ),
        Effect.forkScoped
      )

      const withinPatience = (position: Position) => {
        const deferred = Deferred.makeUnsafe<void>()
        waiting.set(deferred, position)
        return Deferred.await(deferred).pipe(
          Effect.timeoutOption(patienceMillis),
          Effect.ensuring(Effect.sync(() => waiting.delete(deferred)))
        )
      }
      const applied = Effect.fnUntraced(function* (position: Position) {
        while (!has(connected(), position)) {
          const done = yield* withinPatience(position)
          if (done._tag === "Some" || has(connected(), position)) return
          if (connected().length > 0) {
            yield* Metric.update(lateEdges, 1)
            return yield* Effect.logWarning("an edge has not applied a hostname within 2 s; it goes live all the same")
          }
          yield* Deferred.await(anyNews)
        }
      })
      return Edges.of({ applied, connected: () => connected().length })
    })
  )
}

/** An entry read from the past counts from when it was written; clocks that run ahead gain nothing. */
const heard = (known: Map<string, Edge>, id: string, entry: typeof EdgeEntry.Type | undefined) => {
  if (entry === undefined) return void known.delete(id)
  const at = Date.parse(entry.at)
  const age = Date.now() - at
  known.set(id, { heardAt: known.has(id) || Number.isNaN(at) || age < 0 ? Date.now() : at, epoch: entry.epoch, revision: entry.revision })
}
