/**
 * Says in the log what keeps the edge from writing to its disk, once when it begins and once when it is over.
 *
 * Owns: when a line is written. Leaves to the classes with a `problem`: what it is. The gauges say the same for alerts; the words are only here.
 */
import { Effect, Schedule } from "effect"

/** Something that may be unable to do its work for a while; `problem` says why, undefined while it can. */
export interface Troubled {
  readonly problem: string | undefined
}

/** `what` begins the lines; `cost`: what the edge serves on without. Runs for ever. */
export const tellProblems = (what: string, troubled: Troubled, cost = "a restart without NATS would miss what changes now") => {
  let told = false
  const tell = Effect.suspend(() => {
    const { problem } = troubled
    if ((problem !== undefined) === told) return Effect.void
    told = !told
    return problem === undefined
      ? Effect.logInfo(`${what} can be written again`)
      : Effect.logError(`${what} can't be written; serving on, but ${cost}: ${problem}`)
  })
  return Effect.repeat(tell, Schedule.spaced("1 second"))
}
