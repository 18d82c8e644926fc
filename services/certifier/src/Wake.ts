/** Tells this process's scheduler that something became due. Other processes notice at their next look, seconds later at most. */
import { Context, Effect, Layer, Queue } from "effect"

export class Wake extends Context.Service<
  Wake,
  {
    readonly now: Effect.Effect<void>
    /** Returns when woken, or after so many milliseconds. */
    readonly wait: (millis: number) => Effect.Effect<void>
  }
>()("certifier/Wake") {
  static readonly layer = Layer.effect(
    Wake,
    Effect.map(Queue.sliding<void>(1), (queue) =>
      Wake.of({
        now: Effect.asVoid(Queue.offer(queue, undefined)),
        wait: (millis) => Effect.asVoid(Effect.timeoutOption(Queue.take(queue), millis))
      })
    )
  )
}
