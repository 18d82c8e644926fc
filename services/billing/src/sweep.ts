/**
 * Clearing up after creates that died between their reservation and their row.
 *
 * Owns: when to look: as soon as the oldest open reservation is due, a minute from now when there is none. Leaves the rest to `Quota.ts`.
 */
import { Duration, Effect } from "effect"
import { orphanAfterSeconds, Quota } from "./Quota.ts"

/** The shortest sleep, so that reservations whose lifecycle answer is slow don't make this a busy loop. Milliseconds. */
const shortest = 1_000

export const sweepForever = Effect.gen(function* () {
  const quota = yield* Quota
  const once = Effect.gen(function* () {
    const { committed, released } = yield* quota.sweep
    if (committed + released > 0) yield* Effect.logInfo("open reservations settled", { committed, released })
    return (yield* quota.nextSweepIn) ?? orphanAfterSeconds * 1_000
  }).pipe(Effect.catchCause((cause) => Effect.as(Effect.logWarning("open reservations wait", cause), 5_000)))
  while (true) yield* Effect.sleep(Duration.millis(Math.max(shortest, yield* once)))
})
