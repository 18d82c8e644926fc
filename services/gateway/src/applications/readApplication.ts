/** Applications as rows. Every query names the tenant. */
import type { Database, DatabaseError } from "@connect-domain/database/Database.ts"
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import type { EdgeSettings } from "@connect-domain/messages/edge.ts"
import { Effect } from "effect"
import type { RecordTemplate } from "../api/fields.ts"
import { type ApiError, notFound } from "../http/ApiError.ts"

export interface ApplicationRow {
  readonly id: string
  readonly name: string
  readonly environment: "test" | "live"
  readonly origin: string | null
  readonly allowed_origins: ReadonlyArray<string>
  readonly record_template: typeof RecordTemplate.Type | null
  readonly edge: EdgeSettings
  readonly error_page: string | null
  readonly version: number
  readonly created_at: Date
  readonly updated_at: Date
  readonly deleted_at: Date | null
}

export const toApplication = (row: ApplicationRow) => ({
  id: row.id,
  name: row.name,
  environment: row.environment,
  origin: row.origin,
  allowed_origins: row.allowed_origins,
  record_template: row.record_template,
  edge: row.edge,
  error_page: row.error_page,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString()
})

/** Fails with `not_found` for a malformed, foreign, unknown or deleted id alike. */
export const readApplication = (
  database: Database["Service"],
  tenantId: string,
  id: string
): Effect.Effect<ApplicationRow, ApiError | DatabaseError> =>
  isUuid(id)
    ? Effect.flatMap(
        database.query<ApplicationRow>(
          (sql) => sql`select * from gateway.applications where tenant_id = ${tenantId} and id = ${id} and deleted_at is null`
        ),
        ([row]) => (row === undefined ? Effect.fail(notFound) : Effect.succeed(row))
      )
    : Effect.fail(notFound)
