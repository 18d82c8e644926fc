/**
 * A transaction as an Effect: the statements of the fiber inside run on its connection; nested, it is a savepoint.
 *
 * Owns: begin, commit, rollback and what they mean when the connection goes. Built against: a transaction left open by an interruption,
 * and a handle used after its connection was lost and given to somebody else.
 */
import { Context, Effect, Exit } from "effect"
import { DatabaseError, reasonOf } from "./DatabaseError.ts"
import { isAlive, type Pool, type TransactionSql, withArrays } from "./pool.ts"
import { checkoutMillis, checkoutTurns } from "./statement.ts"

export interface OpenTransaction {
  readonly sql: TransactionSql
  /** Set as soon as the connection is known to be lost: the handle must not be used any more. */
  lost: unknown
  readonly afterCommit: Array<() => void>
}

/** The transaction that the current fiber runs in, if any. Child fibers inherit it and share its connection. */
export const CurrentTransaction = Context.Reference<OpenTransaction | undefined>("database/Transaction", {
  defaultValue: () => undefined
})

export const transaction = <A, E, R>(pool: Pool, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | DatabaseError, R> =>
  Effect.withFiber((fiber) => {
    const outer = Context.get(fiber.context, CurrentTransaction)
    if (outer !== undefined) return within(openSavepoint(outer), effect)
    const afterCommit: Array<() => void> = []
    return Effect.tap(within(openTransaction(pool, afterCommit), effect), () =>
      Effect.sync(() => {
        for (const run of afterCommit) run()
      })
    )
  })

interface Block {
  readonly open: OpenTransaction
  /** Ends the block; settles when the server has committed or rolled back. */
  readonly end: (commit: boolean) => Promise<void>
}

const rolledBack = Symbol("rolled back")

const openTransaction = (pool: Pool, afterCommit: Array<() => void>) =>
  Effect.suspend(() => {
    const lease = pool.current()
    const noConnection = Effect.fail(DatabaseError.from(new Error("no connection in time"), "Unavailable"))
    const limit = (turns: number): Effect.Effect<never, DatabaseError> =>
      Effect.flatMap(Effect.sleep(checkoutMillis), () => (turns > 1 && isAlive(lease) ? limit(turns - 1) : noConnection))
    return Effect.raceFirst(openBlock(lease.sql.begin, afterCommit, undefined), limit(checkoutTurns)).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          lease.aliveAt = performance.now()
        })
      ),
      Effect.tapError((error) => Effect.sync(() => pool.report(lease, error)))
    )
  })

const openSavepoint = (outer: OpenTransaction) =>
  Effect.suspend(() =>
    outer.lost === undefined
      ? openBlock(outer.sql.savepoint, outer.afterCommit, outer)
      : Effect.fail(DatabaseError.from(outer.lost, "Unavailable"))
  )

/** The driver wants a promise for the block's whole life: it gets one that `end` settles. */
const openBlock = (
  begin: (body: (sql: TransactionSql) => Promise<void>) => Promise<unknown>,
  afterCommit: Array<() => void>,
  outer: OpenTransaction | undefined
) =>
  Effect.callback<Block, DatabaseError>((resume) => {
    const done = Promise.withResolvers<void>()
    done.promise.catch(() => {})
    let open: OpenTransaction | undefined
    const ended = begin((sql) => {
      open = { sql: withArrays(sql), lost: undefined, afterCommit }
      const end = (commit: boolean) => {
        commit ? done.resolve() : done.reject(rolledBack)
        return ended
      }
      resume(Effect.succeed({ open, end }))
      return done.promise
    }).then(
      () => {},
      (error: unknown) => {
        if (error === rolledBack) return
        if (reasonOf(error) === "Unavailable") {
          if (open !== undefined) open.lost = error
          if (outer !== undefined) outer.lost = error
        }
        resume(Effect.fail(DatabaseError.from(error)))
        throw error
      }
    )
    ended.catch(() => {})
    return Effect.sync(() => done.reject(rolledBack))
  })

const within = <A, E, R>(
  begin: Effect.Effect<Block, DatabaseError>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | DatabaseError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(begin), (block) =>
      Effect.flatMap(
        Effect.exit(restore(Effect.provideService(effect, CurrentTransaction, block.open))),
        (exit): Effect.Effect<A, E | DatabaseError> =>
          Exit.isSuccess(exit)
            ? Effect.as(finish(block, true), exit.value)
            : Effect.andThen(Effect.ignore(finish(block, false)), Effect.failCause(exit.cause))
      )
    )
  )

/** Commit or rollback. A server that does not answer within five seconds leaves the outcome unknown: `Unavailable`. */
const finish = (block: Block, commit: boolean): Effect.Effect<void, DatabaseError> =>
  Effect.suspend(() =>
    block.open.lost !== undefined
      ? Effect.fail(DatabaseError.from(block.open.lost, "Unavailable"))
      : Effect.tryPromise({ try: () => block.end(commit), catch: (error) => DatabaseError.from(error) })
  ).pipe(
    Effect.timeoutOrElse({
      duration: "5 seconds",
      orElse: () => Effect.fail(DatabaseError.from(new Error("the end of a transaction was not confirmed"), "Unavailable"))
    })
  )
