/**
 * Who has to look after a commit: the ticker when a deadline was set, the registry's relay when an entry changed.
 *
 * Owns: the two signals. A signal that comes while its waiter works is kept, so that nothing committed is slept over; several are one.
 * Leaves to the slow look of each waiter: commits of other replicas.
 */
import { Context, Effect, Layer, Queue } from "effect"
import type { ConnectionRow } from "./ConnectionRow.ts"

export interface Signal {
  readonly raise: () => void
  /** Waits for the next one, or for one that was raised since the last wait. */
  readonly wait: Effect.Effect<void>
}

export const makeSignal = Effect.map(
  Queue.dropping<void>(1),
  (queue): Signal => ({ raise: () => void Queue.offerUnsafe(queue, undefined), wait: Effect.ignore(Queue.take(queue)) })
)

export class Wake extends Context.Service<
  Wake,
  {
    readonly registry: Signal
    /** The earliest deadline that was committed here since it was last asked for; milliseconds, infinity for none. */
    readonly deadline: { readonly signal: Signal; readonly take: () => number }
    readonly committed: (draft: {
      readonly changed: ReadonlyMap<string, ConnectionRow>
      readonly registry: ReadonlyMap<string, unknown>
    }) => void
  }
>()("lifecycle/Wake") {
  static readonly layer = Layer.effect(
    Wake,
    Effect.gen(function* () {
      const registry = yield* makeSignal
      const signal = yield* makeSignal
      let earliest = Number.POSITIVE_INFINITY
      return Wake.of({
        registry,
        deadline: {
          signal,
          take: () => {
            const taken = earliest
            earliest = Number.POSITIVE_INFINITY
            return taken
          }
        },
        committed: (draft) => {
          if (draft.registry.size > 0) registry.raise()
          for (const { next_check_at } of draft.changed.values()) {
            if (next_check_at !== null && next_check_at < earliest) earliest = next_check_at
          }
          if (earliest < Number.POSITIVE_INFINITY) signal.raise()
        }
      })
    })
  )
}
