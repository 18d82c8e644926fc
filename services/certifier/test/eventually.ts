/** Waiting for what other processes do: a test goes on as soon as it is so, and fails with words when it never is. */
import { Effect } from "effect"

/** Generous, since a wait ends as soon as what it waits for is so: only a red run is long. */
const longest = 90

/** Looks every 20 ms until `condition` gives something. */
export const eventually = <A>(what: string, condition: () => A | undefined | false): Effect.Effect<A> =>
  eventuallyEffect(what, Effect.sync(condition))

export const eventuallyEffect = <A, E, R>(
  what: string,
  condition: Effect.Effect<A | undefined | false, E, R>,
  seconds = longest
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    while (true) {
      const found = yield* condition
      if (found !== undefined && found !== false) return found
      yield* Effect.sleep("20 millis")
    }
  }).pipe(Effect.timeoutOrElse({ duration: seconds * 1000, orElse: () => Effect.die(new Error(`waited ${seconds} s for: ${what}`)) }))
