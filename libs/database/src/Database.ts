/**
 * Postgres as an Effect service: queries, transactions and what went wrong, for the one schema a service owns.
 *
 * Owns: the connection pool, its replacement after a loss, the fiber-local transaction, cancelling on interruption, the error reasons.
 * Leaves to `migrate.ts`: the schema. Leaves to the caller: what to retry (`Unavailable`, `SerializationFailure`) and what to tell the user.
 * Built against: a Postgres that restarts under load (a pool that heals by itself and says `Unavailable` within two seconds), work that
 * goes on after its caller left, and half-finished transactions after an interruption.
 */
import type { ServiceName } from "@connect-domain/messages/ServiceName.ts"
import { Cause, Config, Context, Effect, Exit, Layer, Redacted } from "effect"
import type { Row as AnyRow } from "postgres"
import { DatabaseError, type DatabaseReason, reasonOf } from "./DatabaseError.ts"
import { makePool, type Pool, type Sql, type TransactionSql } from "./pool.ts"

export type { Sql } from "./pool.ts"
export { DatabaseError, type DatabaseReason }

/** The address of Postgres: `postgres://user:password@host:port/database`. Sandbox: written by `./dev`. No default. */
export const DatabaseUrl = Config.Redacted("DATABASE_URL")

/** Most connections that one process opens for one service. */
export const PoolSize = Config.Int("CD_DATABASE_POOL").pipe(Config.withDefault(8))

/** The transaction that the current fiber runs in, if any. Child fibers inherit it and share its connection. */
interface OpenTransaction {
  readonly sql: TransactionSql
  /** Set as soon as the connection is known to be lost: its handle must not be used any more, it may belong to somebody else. */
  lost: unknown
  readonly afterCommit: Array<() => void>
}
const Current = Context.Reference<OpenTransaction | undefined>("database/Transaction", { defaultValue: () => undefined })

/** What `query` accepts: a statement made with the tag it is given. */
export type Statement = PromiseLike<ReadonlyArray<AnyRow>> & { readonly cancel: () => void }

export class Database extends Context.Service<
  Database,
  {
    /**
     * Runs one statement: ``query<{ id: string }>((sql) => sql`select id from gateway.keys where id = ${id}`)``. On the transaction's
     * connection inside `transaction`, else on any. Interruption cancels it on the server. Column names come back as in SQL, `timestamptz`
     * as Date, `bigint` as number (string beyond 2^53), `jsonb` parsed; write JSON with `sql.json(value)`; `undefined` writes null.
     */
    readonly query: <Row = Record<string, unknown>>(build: (sql: Sql) => Statement) => Effect.Effect<ReadonlyArray<Row>, DatabaseError>
    /**
     * Runs `effect` in one transaction (READ COMMITTED): committed when it succeeds, rolled back on failure, defect or interruption.
     * Nested, it is a savepoint. After `Unavailable` the commit may or may not have happened: repeat only what is idempotent.
     */
    readonly transaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DatabaseError, R>
    /** Runs `run` after the outermost transaction has committed, at once where there is none. It must not throw. */
    readonly afterCommit: (run: () => void) => Effect.Effect<void>
    /** Proves that a statement can be answered; for readiness checks. */
    readonly ping: Effect.Effect<void, DatabaseError>
  }
>()("database/Database") {
  /** The pool of one service: statements run with the role `cd_<service>`, which owns that service's schema only. */
  static layer(service: ServiceName) {
    return Layer.effect(
      Database,
      Effect.gen(function* () {
        const url = Redacted.value(yield* DatabaseUrl)
        const size = yield* PoolSize
        return yield* Database.make({ url, size, name: service, role: `cd_${service}` })
      })
    )
  }

  /** As `layer`, for tests and tools: any address, with the role given or the address's own user. */
  static layerFor(options: { readonly url: string; readonly name: string; readonly role?: string; readonly size?: number }) {
    return Layer.effect(Database, Database.make({ size: 8, ...options }))
  }

  private static make(options: { readonly url: string; readonly size: number; readonly name: string; readonly role?: string }) {
    return Effect.gen(function* () {
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => makePool(options)),
        (pool) => Effect.promise(() => pool.close())
      )
      const query = <Row>(build: (sql: Sql) => Statement) =>
        Effect.withFiber<ReadonlyArray<Row>, DatabaseError>((fiber) => {
          const open = Context.get(fiber.context, Current)
          return (open === undefined ? runAnywhere(pool, build) : runInside(open, build)) as Effect.Effect<ReadonlyArray<Row>, DatabaseError>
        })
      return Database.of({
        query,
        transaction: (effect) => transaction(pool, effect),
        afterCommit: (run) =>
          Effect.withFiber((fiber) => {
            const open = Context.get(fiber.context, Current)
            return Effect.sync(() => void (open === undefined ? run() : open.afterCommit.push(run)))
          }),
        ping: Effect.asVoid(query((sql) => sql`select 1`))
      })
    })
  }
}

/** How long a statement may wait for a connection before the answer is `Unavailable`, milliseconds. */
const checkoutMillis = 2000

const runAnywhere = (pool: Pool, build: (sql: Sql) => Statement): Effect.Effect<ReadonlyArray<AnyRow>, DatabaseError> =>
  Effect.suspend(() => {
    const lease = pool.current()
    return run(
      lease.sql,
      build,
      (error) => pool.report(lease, error),
      (settle) => pool.watchStart(settle, checkoutMillis)
    )
  })

const runInside = (open: OpenTransaction, build: (sql: Sql) => Statement): Effect.Effect<ReadonlyArray<AnyRow>, DatabaseError> =>
  Effect.suspend(() =>
    open.lost === undefined
      ? run(open.sql, build, (error) => {
          if (reasonOf(error) === "Unavailable") open.lost = error
        })
      : Effect.fail(DatabaseError.from(open.lost, "Unavailable"))
  )

/** One statement as an Effect. On interruption it is cancelled on the server and the fiber waits until the connection is clean again. */
const run = (
  sql: Sql,
  build: (sql: Sql) => Statement,
  onError: (error: unknown) => void,
  watch?: (statement: { readonly started: () => boolean; readonly giveUp: (error: unknown) => void }) => () => void
): Effect.Effect<ReadonlyArray<AnyRow>, DatabaseError> =>
  Effect.callback((resume) => {
    let statement: Statement & { readonly active?: boolean }
    try {
      statement = build(sql)
    } catch (error) {
      return resume(Effect.fail(DatabaseError.from(error)))
    }
    let stopWatching: (() => void) | undefined
    const settled = statement.then(
      (rows) => {
        stopWatching?.()
        resume(Effect.succeed(rows))
      },
      (error: unknown) => {
        stopWatching?.()
        onError(error)
        resume(Effect.fail(DatabaseError.from(error)))
      }
    )
    stopWatching = watch?.({
      started: () => statement.active === true,
      giveUp: (error) => {
        resume(Effect.fail(DatabaseError.from(error, "Unavailable")))
        cancel(statement)
      }
    })
    return Effect.promise(() => {
      stopWatching?.()
      cancel(statement)
      return Promise.race([settled, new Promise((resolve) => setTimeout(resolve, checkoutMillis).unref())])
    })
  })

const cancel = (statement: Statement) => {
  try {
    // postgres.js gives back a promise here although its types say void; a server that is gone refuses the cancel request.
    Promise.resolve(statement.cancel() as unknown).catch(() => {})
  } catch {
    // nothing to cancel
  }
}

interface Handle {
  readonly open: OpenTransaction
  /** Ends the block; the promise settles when the server has committed or rolled back. */
  readonly end: (commit: boolean) => Promise<void>
}

const rolledBack = Symbol("rolled back")

/** Opens a block that stays open until `end`: postgres.js wants a promise for the transaction's whole life, so it is given one. */
const openBlock = (begin: (body: (sql: TransactionSql) => Promise<void>) => Promise<unknown>, afterCommit: Array<() => void>) =>
  Effect.callback<Handle, DatabaseError>((resume) => {
    const done = Promise.withResolvers<void>()
    let open: OpenTransaction | undefined
    const ended = begin((sql) => {
      open = { sql, lost: undefined, afterCommit }
      resume(
        Effect.succeed({
          open,
          end: (commit) => {
            commit ? done.resolve() : done.reject(rolledBack)
            return ended
          }
        })
      )
      return done.promise
    }).then(
      () => {},
      (error: unknown) => {
        if (error === rolledBack) return
        if (open !== undefined && reasonOf(error) === "Unavailable") open.lost = error
        resume(Effect.fail(DatabaseError.from(error)))
        throw error
      }
    )
    ended.catch(() => {})
    return Effect.sync(() => done.reject(rolledBack))
  })

const transaction = <A, E, R>(pool: Pool, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | DatabaseError, R> =>
  Effect.withFiber((fiber) => {
    const outer = Context.get(fiber.context, Current)
    if (outer !== undefined) return within(openBlock((body) => outer.sql.savepoint(body), outer.afterCommit), effect)
    const afterCommit: Array<() => void> = []
    const lease = pool.current()
    const begin = openBlock((body) => lease.sql.begin(body), afterCommit).pipe(
      Effect.timeoutOrElse({
        duration: checkoutMillis,
        orElse: () => Effect.fail(DatabaseError.from(new Error("no connection within 2 s"), "Unavailable"))
      }),
      Effect.tapError((error) => Effect.sync(() => pool.report(lease, error.cause)))
    )
    return within(begin, effect).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          for (const run of afterCommit) run()
        })
      )
    )
  })

const within = <A, E, R>(begin: Effect.Effect<Handle, DatabaseError>, effect: Effect.Effect<A, E, R>) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(begin), (handle) =>
      restore(Effect.provideService(effect, Current, handle.open)).pipe(
        Effect.exit,
        Effect.flatMap((exit) =>
          Exit.isSuccess(exit)
            ? Effect.as(finish(handle, true), exit.value)
            : Effect.andThen(Effect.ignore(finish(handle, false)), Effect.failCause(exit.cause as Cause.Cause<E>))
        )
      )
    )
  )

/** Commit or rollback; a server that does not answer within five seconds leaves the outcome unknown. */
const finish = (handle: Handle, commit: boolean): Effect.Effect<void, DatabaseError> =>
  Effect.suspend(() =>
    handle.open.lost === undefined || !commit
      ? Effect.tryPromise({ try: () => handle.end(commit), catch: (error) => DatabaseError.from(error) })
      : Effect.fail(DatabaseError.from(handle.open.lost, "Unavailable"))
  ).pipe(
    Effect.timeoutOrElse({
      duration: "5 seconds",
      orElse: () => Effect.fail(DatabaseError.from(new Error("the server did not confirm the end of a transaction"), "Unavailable"))
    })
  )
