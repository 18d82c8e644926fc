/**
 * Connections as the lifecycle publishes them, read with SQL. Every query names the tenant.
 *
 * Owns: row → API object, the list's filters and order (newest first), and which connections are a widget token's own. Leaves to the
 * lifecycle: every change.
 */
import type { Database, DatabaseError } from "@connect-domain/database/Database.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { Effect } from "effect"
import type { Caller } from "../auth/Caller.ts"
import { type ApiError, notFound } from "../http/ApiError.ts"

type Times = "created_at" | "updated_at" | "next_check_at"
export type ConnectionRow = Omit<ConnectionView, Times | "ownership_challenge"> & {
  readonly created_at: Date
  readonly updated_at: Date
  readonly next_check_at: Date | null
  readonly challenge: ConnectionView["ownership_challenge"]
}

export const toConnection = ({ challenge, ...row }: ConnectionRow): ConnectionView => ({
  ...row,
  ownership_challenge: challenge,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
  next_check_at: row.next_check_at === null ? null : row.next_check_at.toISOString()
})

/** One connection that the caller may see; `not_found` for a foreign, unknown or (widget) not own one alike. */
export const readConnection = (
  database: Database["Service"],
  caller: Caller,
  id: string
): Effect.Effect<ConnectionView, ApiError | DatabaseError> =>
  Effect.flatMap(
    database.query<ConnectionRow>(
      (sql) => sql`select * from lifecycle.published_connections c where tenant_id = ${caller.tenant_id} and id = ${id} ${own(sql, caller)}`
    ),
    ([row]) => (row === undefined ? Effect.fail(notFound) : Effect.succeed(toConnection(row)))
  )

type Sql = Parameters<Parameters<Database["Service"]["query"]>[0]>[0]

/** A token for one host name sees its application's connections of that name; one for an end user sees those made for him. */
const own = (sql: Sql, caller: Caller) => {
  if (caller.kind === "key") return sql``
  if (caller.domain !== undefined) return sql`and application_id = ${caller.application_id} and hostname = ${caller.domain}`
  return sql`and application_id = ${caller.application_id} and exists (
    select from gateway.widget_connections w where w.connection_id = c.id and w.tenant_id = ${caller.tenant_id} and w.sub = ${caller.sub!})`
}

export interface Filter {
  readonly state?: string | undefined
  readonly hostname?: string | undefined
  readonly application_id?: string | undefined
  readonly batch_id?: string | undefined
}

/** Up to `limit` connections older than `before`, newest first. */
export const listConnections = (
  database: Database["Service"],
  tenantId: string,
  filter: Filter,
  before: string | undefined,
  limit: number
): Effect.Effect<ReadonlyArray<ConnectionView>, DatabaseError> =>
  Effect.map(
    database.query<ConnectionRow>(
      (sql) => sql`
        select * from lifecycle.published_connections where tenant_id = ${tenantId}
          ${filter.state === undefined ? sql`` : sql`and state = ${filter.state}`}
          ${filter.hostname === undefined ? sql`` : sql`and hostname = ${filter.hostname}`}
          ${filter.application_id === undefined ? sql`` : sql`and application_id = ${filter.application_id}`}
          ${filter.batch_id === undefined ? sql`` : sql`and batch_id = ${filter.batch_id}`}
          ${before === undefined ? sql`` : sql`and id < ${before}`}
        order by id desc limit ${limit}`
    ),
    (rows) => rows.map(toConnection)
  )
