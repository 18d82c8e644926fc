/**
 * Many small requests, few transactions: what arrives while a transaction runs shares the next one.
 *
 * Owns: who goes into which group. Leaves to `run`: doing the work of a group and answering each member. An idle group adds no delay: the
 * first request starts at once; under load the groups grow until the database is busy with work instead of round trips.
 * Built against: ten thousand imported connections that each pay for a commit, and a caller who leaves and takes the others with him
 * (a group runs in the service's scope, not in its members').
 * And against one member that the database refuses: then each member is tried alone, and only that one fails.
 */
import { Cause, Effect, Exit, FiberSet, type Scope } from "effect"

export interface GroupOptions {
  /** Most members of one group. */
  readonly size: number
  /** Groups that may run at the same time. */
  readonly parallel: number
  /** Whether a failure may be one member's fault. */
  readonly divides: (error: unknown) => boolean
}

type Waiting<In, Out, E> = ReadonlyArray<{ readonly member: In; readonly resume: (exit: Exit.Exit<Out, E>) => void }>

/** `run` answers its members in their order; if it fails, all of them fail with it. */
export const groupCommit = <In, Out, E, R>(
  options: GroupOptions,
  run: (members: ReadonlyArray<In>) => Effect.Effect<ReadonlyArray<Exit.Exit<Out, E>>, E, R>
): Effect.Effect<(member: In) => Effect.Effect<Out, E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* FiberSet.makeRuntime<R, void, never>()
    const waiting: Array<Waiting<In, Out, E>[number]> = []
    let running = 0

    const answered = (members: Waiting<In, Out, E>): Effect.Effect<void, never, R> =>
      Effect.flatMap(Effect.exit(run(members.map((each) => each.member))), (exit) => {
        if (Exit.isFailure(exit) && members.length > 1 && options.divides(Cause.squash(exit.cause))) {
          return Effect.forEach(members, (each) => answered([each]), { discard: true })
        }
        return Effect.sync(() => {
          for (const [index, each] of members.entries()) {
            each.resume(
              Exit.isSuccess(exit) ? (exit.value[index] ?? Exit.die(new Error("a member got no answer"))) : Exit.failCause(exit.cause)
            )
          }
        })
      })
    const start = (): void => {
      while (running < options.parallel && waiting.length > 0) {
        running++
        const ended = Effect.sync(() => {
          running--
          start()
        })
        fork(Effect.ensuring(answered(waiting.splice(0, options.size)), ended))
      }
    }
    return (member) =>
      Effect.callback<Out, E>((resume) => {
        waiting.push({ member, resume: (exit) => resume(exit) })
        start()
      })
  })
