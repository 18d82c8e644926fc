/**
 * The driver's pool, replaced as a whole when a connection is lost.
 *
 * Owns: the driver's options and generations of pools. Leaves to `Database.ts`: everything a caller sees.
 * Built against postgres.js 3.4.9 (checked 2026-11): a connection that closes between a write and its flush never flushes again and its
 * slot hangs; and reconnecting backs off up to 20 s. A fresh pool has neither; the old one gets five seconds to finish what it runs.
 */
import postgres from "postgres"
import { reasonOf } from "./DatabaseError.ts"

/** The tag for statements: ``sql`…${value}…` ``, `sql(name)` for identifiers, `sql.json(value)` for jsonb, fragments nest. */
export type Sql = Omit<postgres.Sql<{ bigint: number }>, never> & SqlTag
interface SqlTag {
  // biome-ignore lint/suspicious/noExplicitAny: a row's shape is named by the caller of `query`
  <T extends ReadonlyArray<object> = any[]>(template: TemplateStringsArray, ...parameters: ReadonlyArray<unknown>): postgres.PendingQuery<
    T & Array<postgres.Row>
  >
}
export type TransactionSql = postgres.TransactionSql<{ bigint: number }>
