/**
 * A transaction as an Effect: the statements of the fiber inside run on its connection; nested, it is a savepoint.
 *
 * Owns: begin, commit, rollback and what they mean when the connection goes. Built against: a transaction left open by an interruption,
 * and a handle used after its connection was lost and given to somebody else.
 */
import { Context, Effect, Exit } from "effect"
import { DatabaseError, reasonOf } from "./DatabaseError.ts"
import { isAlive, type Lease, type Pool, type TransactionSql, withArrays } from "./pool.ts"
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

/** Where a block is put the moment it is open, so that an interruption at that very moment finds it. */
interface Opening {
  block?: Block
}
type Open = (opening: Opening) => Effect.Effect<Block, DatabaseError>

const rolledBack = Symbol("rolled back")

const openTransaction =
  (pool: Pool, afterCommit: Array<() => void>): Open =>
  (opening) =>
    Effect.suspend(() => {
      const lease = pool.current()
      return openBlock(opening, lease.sql.begin, { afterCommit, lease }).pipe(
        Effect.tapError((error) => Effect.sync(() => pool.report(lease, error)))
      )
    })

const openSavepoint =
  (outer: OpenTransaction): Open =>
  (opening) =>
    outer.lost === undefined
      ? openBlock(opening, outer.sql.savepoint, { afterCommit: outer.afterCommit, outer })
      : Effect.fail(DatabaseError.from(outer.lost, "Unavailable"))

interface Surroundings {
  readonly afterCommit: Array<() => void>
  /** Of a transaction: whose connection it must wait for. */
  readonly lease?: Lease
  /** Of a savepoint: what is lost together with it. */
  readonly outer?: OpenTransaction
}

/** The driver wants a promise for the block's whole life: it gets one that `end` settles. */
const openBlock = (
  opening: Opening,
  begin: (body: (sql: TransactionSql) => Promise<void>) => Promise<unknown>,
  { afterCommit, lease, outer }: Surroundings
) =>
  Effect.callback<Block, DatabaseError>((resume) => {
    const done = Promise.withResolvers<void>()
    done.promise.catch(() => {})
    const stopWaiting = lease === undefined ? () => {} : awaitTurn(lease, (error) => abandon(error))
    const abandon = (error: DatabaseError) => {
      done.reject(rolledBack)
      resume(Effect.fail(error))
    }
    const ended = begin((sql) => {
      stopWaiting()
      if (lease !== undefined) lease.aliveAt = performance.now()
      const open: OpenTransaction = { sql: withArrays(sql), lost: undefined, afterCommit }
      const end = (commit: boolean) => {
        commit ? done.resolve() : done.reject(rolledBack)
        return ended
      }
      opening.block = { open, end }
      resume(Effect.succeed(opening.block))
      return done.promise
    }).then(
      () => {},
      (error: unknown) => {
        stopWaiting()
        if (error === rolledBack) return
        if (reasonOf(error) === "Unavailable") {
          if (opening.block !== undefined) opening.block.open.lost = error
          if (outer !== undefined) outer.lost = error
        }
        resume(Effect.fail(DatabaseError.from(error)))
        throw error
      }
    )
    ended.catch(() => {})
    return Effect.sync(() => {
      stopWaiting()
      done.reject(rolledBack)
    })
  })

/** Gives up after two seconds without a connection; after ten while the pool answers others. */
const awaitTurn = (lease: Lease, giveUp: (error: DatabaseError) => void): (() => void) => {
  let turns = checkoutTurns
  let timer = setTimeout(function look() {
    if (--turns > 0 && isAlive(lease)) timer = setTimeout(look, checkoutMillis)
    else giveUp(DatabaseError.from(new Error("no connection in time"), "Unavailable"))
  }, checkoutMillis)
  return () => clearTimeout(timer)
}

const within = <A, E, R>(open: Open, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | DatabaseError, R> =>
  Effect.uninterruptibleMask((restore) => {
    const opening: Opening = {}
    const abandoned = Effect.suspend(() => (opening.block === undefined ? Effect.void : Effect.ignore(finish(opening.block, false))))
    return Effect.flatMap(
      Effect.onInterrupt(restore(open(opening)), () => abandoned),
      (block) =>
        Effect.flatMap(
          Effect.exit(restore(Effect.provideService(effect, CurrentTransaction, block.open))),
          (exit): Effect.Effect<A, E | DatabaseError> =>
            Exit.isSuccess(exit)
              ? Effect.as(finish(block, true), exit.value)
              : Effect.andThen(Effect.ignore(finish(block, false)), Effect.failCause(exit.cause))
        )
    )
  })

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
