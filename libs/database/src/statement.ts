/**
 * One statement as an Effect: started when the Effect runs, cancelled on the server when it is interrupted.
 *
 * Owns: the bridge from the driver's promises. Built against: work that goes on after its caller left, a cancel request that hits the
 * connection's next statement, and a statement that waits for a connection to a server that is gone.
 */
import { Effect } from "effect"
import { DatabaseError } from "./DatabaseError.ts"
import type { Sql, Statement } from "./pool.ts"

/** How long a statement may wait for a connection before the answer is `Unavailable`, milliseconds. */
export const checkoutMillis = 2_000
/** As long as the pool answers others, the wait is for its turn: it may take so many times as long. */
export const checkoutTurns = 5

/** How long a server may take to answer. A little more than its own `statement_timeout`: it is frozen, or the network swallows. Milliseconds. */
export const answerMillis = 32_000

/** How long a statement whose caller has left may take to end by itself, milliseconds. */
const graceMillis = 100

/** What the driver notes on a statement: the connection that it was handed to, and whether it is its turn there. */
type Cancellable = Statement & { readonly state?: unknown; readonly active?: boolean }

export interface RunOptions {
  readonly onError: (error: unknown) => void
  readonly onAnswer: () => void
  /** Of a pool, whose connections may all be busy: whether it answers others. Absent: the statement has its connection. */
  readonly isAlive?: () => boolean
}

export const runStatement = <Row>(sql: Sql, build: (sql: Sql) => Statement, options: RunOptions) =>
  Effect.callback<ReadonlyArray<Row>, DatabaseError>((resume) => {
    let statement: Cancellable
    let timer: NodeJS.Timeout | undefined
    try {
      statement = build(sql)
    } catch (error) {
      return resume(Effect.fail(DatabaseError.from(error)))
    }
    const settled = statement.then(
      (rows) => {
        clearTimeout(timer)
        options.onAnswer()
        resume(Effect.succeed(rows))
      },
      (error: unknown) => {
        clearTimeout(timer)
        options.onError(error)
        resume(Effect.fail(DatabaseError.from(error)))
      }
    )
    const giveUp = (why: string) => {
      const error = DatabaseError.from(new Error(why), "Unavailable")
      options.onError(error)
      resume(Effect.fail(error))
      cancel(statement)
    }
    const awaitAnswer = (millis: number) => setTimeout(giveUp, millis, `no answer within ${answerMillis / 1_000} s`)
    const awaitConnection = (isAlive: () => boolean, turns: number): NodeJS.Timeout =>
      setTimeout(() => {
        // The driver sets `state` when it hands the statement to a connection.
        const started = statement.state !== undefined && statement.state !== null
        if (started) timer = awaitAnswer(answerMillis - checkoutMillis)
        else if (turns > 1 && isAlive()) timer = awaitConnection(isAlive, turns - 1)
        else giveUp("no connection in time")
      }, checkoutMillis)
    timer = options.isAlive === undefined ? awaitAnswer(answerMillis) : awaitConnection(options.isAlive, checkoutTurns)
    return Effect.promise(async () => {
      clearTimeout(timer)
      // Most end by themselves before a cancel request, which goes by a connection of its own, could hit them and not the next one.
      if (statement.active === true && (await isSettledWithin(settled, graceMillis))) return
      cancel(statement)
      // Until the statement has settled the connection is not clean: the next one would be hit by the cancel.
      await isSettledWithin(settled, checkoutMillis)
    })
  })

const isSettledWithin = (settled: PromiseLike<void>, millis: number): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, millis, false)
  timer.unref()
  settled.then(() => {
    clearTimeout(timer)
    resolve(true)
  })
  return promise
}

/**
 * A statement that was sent behind another on the same connection is left to end: the driver (postgres.js 3.4.9, `ReadyForQuery`) forgets one
 * that is cancelled before its turn, although the server answers it, and gives its rows to the next one.
 */
const isSentBehind = ({ state, active }: Cancellable): boolean => state !== undefined && state !== null && active !== true

const cancel = (statement: Cancellable) => {
  if (isSentBehind(statement)) return
  try {
    // The driver gives back a promise here although its types say void; a server that is gone refuses the cancel request.
    Promise.resolve(statement.cancel() as unknown).catch(() => {})
  } catch {
    // not running any more
  }
}
