/**
 * The driver's pool, replaced as a whole when a connection is lost.
 *
 * Owns: the driver's options and the generations of pools. Leaves to `statement.ts` and `transaction.ts`: running something on them.
 * Built against postgres.js 3.4.9 (checked 2026-11): a connection that closes between a write and its flush never flushes again and its
 * slot hangs for ever; and reconnecting backs off up to 20 s. A fresh pool has neither; the old one gets five seconds to finish.
 */
import postgres from "postgres"
import { arrayTypes, parseArray, serializeArray } from "./arrays.ts"
import { DatabaseError, reasonOf } from "./DatabaseError.ts"

/** A statement that runs when it is awaited, or a fragment when it stands inside another. */
// biome-ignore lint/suspicious/noExplicitAny: a row's shape is named by the caller of `query`
export interface Statement extends PromiseLike<ReadonlyArray<any>> {
  readonly cancel: () => void
}

/** The tag for statements: ``sql`…${value}…` ``; fragments nest. Values go as parameters, never into the text. */
export interface Sql {
  (template: TemplateStringsArray, ...parameters: ReadonlyArray<unknown>): Statement
  /** `sql("name")`: an identifier. `sql(["a", "b"])`: a list for `in`. `sql(row or rows, …columns)`: for `insert` and `update … set`. */
  (value: string | ReadonlyArray<unknown> | object, ...columns: ReadonlyArray<string>): unknown
  /** A value for a `json` or `jsonb` column. */
  readonly json: (value: unknown) => unknown
  /** An array parameter: `= any(${sql.array(ids)}::uuid[])`, or just `= any(${ids}::uuid[])`. The cast names its type. */
  readonly array: (values: ReadonlyArray<unknown>) => unknown
  /** Text as it is: never with anything from outside. */
  readonly unsafe: (text: string, parameters?: ReadonlyArray<unknown>) => Statement
}

export interface TransactionSql extends Sql {
  readonly savepoint: (body: (sql: TransactionSql) => Promise<void>) => Promise<unknown>
}

export interface PoolSql extends Sql {
  readonly begin: (body: (sql: TransactionSql) => Promise<void>) => Promise<unknown>
  readonly end: (options: { readonly timeout: number }) => Promise<void>
}

/** One generation of the pool. */
export interface Lease {
  readonly sql: PoolSql
  readonly bornAt: number
  /** When it last answered; 0: not yet. */
  aliveAt: number
}

/** Answers came within the last second: who still waits for a connection waits for his turn, not for the server. */
export const isAlive = (lease: Lease): boolean => performance.now() - lease.aliveAt < 1_000

export interface Pool {
  readonly current: () => Lease
  /** Tells of an error met on a generation: a lost connection retires it. */
  readonly report: (lease: Lease, error: unknown) => void
  readonly close: () => Promise<void>
}

export interface PoolOptions {
  readonly url: string
  readonly size: number
  readonly name: string
  /** Taken on by every connection at its start; absent: the address's own user. */
  readonly role?: string | undefined
}

/** Seconds for which a retired or closing generation may finish what runs on it. */
const farewellSeconds = 5
/** A generation younger than this is kept, so that a server that is down does not cost a new pool per query. Milliseconds. */
const minimumAge = 250

export const makePool = (options: PoolOptions): Pool => {
  let lease = open(options)
  let closed = false
  const leaving = new Set<Promise<void>>()
  return {
    current: () => lease,
    report: (of, error) => {
      if (closed || of !== lease || reasonOf(error) !== "Unavailable" || performance.now() - lease.bornAt < minimumAge) return
      // Nobody said that a connection was lost: somebody only waited too long.
      if (error instanceof DatabaseError && error.code === undefined && isAlive(lease)) return
      lease = open(options)
      const gone = of.sql.end({ timeout: farewellSeconds }).catch(() => {})
      leaving.add(gone)
      gone.then(() => leaving.delete(gone))
    },
    close: async () => {
      closed = true
      await Promise.all([lease.sql.end({ timeout: farewellSeconds }).catch(() => {}), ...leaving])
    }
  }
}

/**
 * Lets the server name an array's type: the driver's own `array` guesses it from a table that the first statement on a new connection
 * does not have yet.
 */
export const withArrays = <S extends Sql>(sql: S): S => Object.assign(sql, { array: (values: ReadonlyArray<unknown>) => values })

const open = (options: PoolOptions): Lease => ({
  bornAt: performance.now(),
  aliveAt: 0,
  sql: withArrays(connect(options))
})

const connect = (options: PoolOptions) => {
  const sql = postgres(options.url, {
    max: options.size,
    connect_timeout: 2,
    backoff: () => 0.05,
    idle_timeout: 300,
    max_lifetime: 3600,
    onnotice: () => {},
    transform: { undefined: null },
    fetch_types: false,
    types: { bigint: { to: 20, from: [20], serialize: String, parse: parseBigint } },
    connection: {
      application_name: `connect-domain ${options.name}`,
      ...(options.role === undefined ? {} : { role: options.role }),
      // A statement that takes longer is a defect; an abandoned transaction must not hold its locks for ever. Milliseconds.
      statement_timeout: 30_000,
      idle_in_transaction_session_timeout: 60_000
    }
  })
  const { parsers, serializers } = sql.options as unknown as Converters
  for (const [element, array] of arrayTypes) {
    parsers[array] = (text) => parseArray(text, parsers[element] ?? String)
    serializers[array] = (values) => serializeArray(values as ReadonlyArray<unknown>, serializers[element] ?? String)
  }
  return sql as unknown as PoolSql
}

/** The driver's tables of converters, by the type's object id. */
interface Converters {
  readonly parsers: Record<number, (text: string) => unknown>
  readonly serializers: Record<number, (value: unknown) => string>
}

/** `bigint` columns hold counts and positions: numbers, up to where a number is exact. */
const parseBigint = (text: string): number | string => {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}
