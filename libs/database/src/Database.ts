/**
 * Postgres as an Effect service: queries and transactions for the one schema that a service owns.
 *
 * Owns: what a service sees of the database, and its configuration. Leaves to `migrate.ts`: the schema; to `pool.ts`, `statement.ts`,
 * `transaction.ts`: how. The caller decides what to retry (`Unavailable`, `SerializationFailure`) and what to tell the user.
 * Built against: a Postgres that restarts under load: the pool heals by itself and says `Unavailable` within two seconds.
 */
import { checked, isUrl, numberSetting, secretSetting } from "@connect-domain/domain/Setting.ts"
import type { ServiceName } from "@connect-domain/messages/definition.ts"
import { Config, Context, Effect, Layer, Redacted } from "effect"
import { DatabaseError, reasonOf } from "./DatabaseError.ts"
import { isAlive, makePool, type PoolOptions, type Sql, type Statement } from "./pool.ts"
import { runStatement } from "./statement.ts"
import { CurrentTransaction, transaction } from "./transaction.ts"

export { DatabaseError, type DatabaseReason } from "./DatabaseError.ts"
export type { Sql, Statement } from "./pool.ts"

/** Address of Postgres: `postgres://user:password@host:port/database`. No default. Its user must be allowed to take on the services' roles. */
export const DatabaseUrl = Config.Redacted("DATABASE_URL")

/** Most connections that one process opens for one service. Default 8. */
export const PoolSize = Config.Int("CD_DATABASE_POOL").pipe(Config.withDefault(8))

export const databaseSettings = [
  secretSetting(
    "DATABASE_URL",
    checked("DATABASE_URL", DatabaseUrl, (url) =>
      isUrl(Redacted.value(url), "postgres", "postgresql") ? undefined : "is not an address of Postgres"
    ),
    "postgres://user:password@host:port/database"
  ),
  numberSetting("CD_DATABASE_POOL", PoolSize, { least: 1, most: 1_000, unit: "connections" })
]

export class Database extends Context.Service<
  Database,
  {
    /**
     * Runs one statement: ``query<{ id: string }>((sql) => sql`select id from gateway.keys where id = ${id}`)``; inside `transaction` on
     * its connection, else on any. Interruption cancels it on the server. Columns come back named as in SQL, `timestamptz` as Date,
     * `bigint` as number (a string beyond 2^53), `jsonb` parsed; write JSON with `sql.json(value)`; `undefined` writes null.
     */
    readonly query: <Row = Record<string, unknown>>(build: (sql: Sql) => Statement) => Effect.Effect<ReadonlyArray<Row>, DatabaseError>
    /**
     * Runs `effect` in one transaction (READ COMMITTED): committed when it succeeds, rolled back on failure, defect or interruption.
     * Nested, it is a savepoint. After `Unavailable` the commit may or may not have happened: repeat only what is idempotent.
     */
    readonly transaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DatabaseError, R>
    /** Runs `run` after the outermost transaction has committed; at once where there is none. It must not throw. */
    readonly afterCommit: (run: () => void) => Effect.Effect<void>
    /** Proves that a statement is answered; for readiness checks. */
    readonly ping: Effect.Effect<void, DatabaseError>
  }
>()("database/Database") {
  /** The pool of one service: statements run with the role `cd_<service>`, which owns that service's schema and no other. */
  static layer(service: ServiceName) {
    return Layer.effect(
      Database,
      Effect.gen(function* () {
        const url = Redacted.value(yield* DatabaseUrl)
        return yield* make({ url, size: yield* PoolSize, name: service, role: `cd_${service}` })
      })
    )
  }

  /** As `layer`, for tools and tests: any address, with the role given or the address's own user. */
  static layerFor(options: Omit<PoolOptions, "size"> & { readonly size?: number }) {
    return Layer.effect(Database, make({ size: 8, ...options }))
  }
}

const make = (options: PoolOptions) =>
  Effect.gen(function* () {
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => makePool(options)),
      (pool) => Effect.promise(() => pool.close())
    )
    const query = <Row>(build: (sql: Sql) => Statement) =>
      Effect.withFiber<ReadonlyArray<Row>, DatabaseError>((fiber) => {
        const open = Context.get(fiber.context, CurrentTransaction)
        if (open === undefined) {
          const lease = pool.current()
          return runStatement<Row>(lease.sql, build, {
            isAlive: () => isAlive(lease),
            onAnswer: () => {
              lease.aliveAt = performance.now()
            },
            onError: (error) => pool.report(lease, error)
          })
        }
        if (open.lost !== undefined) return Effect.fail(DatabaseError.from(open.lost, "Unavailable"))
        return runStatement<Row>(open.sql, build, {
          onAnswer: () => {},
          onError: (error) => {
            if (reasonOf(error) === "Unavailable") open.lost = error
          }
        })
      })
    const ping = query((sql) => sql`select 1`).pipe(
      Effect.timeoutOrElse({
        duration: "2 seconds",
        orElse: () => Effect.fail(DatabaseError.from(new Error("no answer within 2 s"), "Unavailable"))
      }),
      Effect.asVoid
    )
    const afterCommit = (run: () => void) =>
      Effect.withFiber<void>((fiber) => {
        const open = Context.get(fiber.context, CurrentTransaction)
        return Effect.sync(() => void (open === undefined ? run() : open.afterCommit.push(run)))
      })
    return Database.of({ query, transaction: (effect) => transaction(pool, effect), afterCommit, ping })
  })
