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

export interface RunOptions {
  readonly onError: (error: unknown) => void
  /** Give up as `Unavailable` when no connection takes the statement within `checkoutMillis`. */
  readonly bounded: boolean
}

export const runStatement = <Row>(sql: Sql, build: (sql: Sql) => Statement, options: RunOptions) =>
  Effect.callback<ReadonlyArray<Row>, DatabaseError>((resume) => {
    let statement: Statement & { readonly state?: unknown }
    let timer: NodeJS.Timeout | undefined
    try {
      statement = build(sql)
    } catch (error) {
      return resume(Effect.fail(DatabaseError.from(error)))
    }
    const settled = statement.then(
      (rows) => {
        clearTimeout(timer)
        resume(Effect.succeed(rows))
      },
      (error: unknown) => {
        clearTimeout(timer)
        options.onError(error)
        resume(Effect.fail(DatabaseError.from(error)))
      }
    )
    if (options.bounded) {
      timer = setTimeout(() => {
        // The driver sets `state` when it hands the statement to a connection; from then on the server's own timeout counts.
        if (statement.state !== undefined && statement.state !== null) return
        resume(Effect.fail(DatabaseError.from(new Error("no connection within 2 s"), "Unavailable")))
        cancel(statement)
      }, checkoutMillis)
    }
    return Effect.promise(() => {
      clearTimeout(timer)
      cancel(statement)
      // Until the statement has settled the connection is not clean: the next one would be hit by the cancel.
      return Promise.race([settled, new Promise((resolve) => setTimeout(resolve, checkoutMillis).unref())])
    })
  })

const cancel = (statement: Statement) => {
  try {
    // The driver gives back a promise here although its types say void; a server that is gone refuses the cancel request.
    Promise.resolve(statement.cancel() as unknown).catch(() => {})
  } catch {
    // not running any more
  }
}
