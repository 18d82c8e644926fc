/**
 * Events as the lifecycle publishes them, read with SQL. Every query names the tenant.
 *
 * Owns: row → API object, and the two reading orders: one connection's by sequence, the tenant's log by position.
 */
import type { Database, DatabaseError } from "@connect-domain/database/Database.ts"
import type { ConnectionEvent, EventType } from "@connect-domain/messages/events.ts"
import { Effect } from "effect"

interface EventRow {
  readonly id: string
  readonly type: EventType
  readonly application_id: string
  readonly connection_id: string
  readonly environment: "test" | "live"
  readonly data: ConnectionEvent["data"]
  readonly sequence: number
  readonly occurred_at: Date
}

const toEvent = (row: EventRow) => ({
  id: row.id,
  type: row.type,
  jobId: row.connection_id,
  application_id: row.application_id,
  environment: row.environment,
  data: row.data,
  sequence: row.sequence,
  occurred_at: row.occurred_at.toISOString()
})
export type ApiEvent = ReturnType<typeof toEvent>

export const eventFromMessage = (event: ConnectionEvent): ApiEvent => toEvent({ ...event, occurred_at: new Date(event.occurred_at) })

/** Up to `limit` events of one connection above `sequence`, in order. */
export const readConnectionEvents = (
  database: Database["Service"],
  tenantId: string,
  connectionId: string,
  sequence: number,
  limit: number
): Effect.Effect<ReadonlyArray<ApiEvent>, DatabaseError> =>
  Effect.map(
    database.query<EventRow>(
      (sql) => sql`
        select id, type, application_id, connection_id, environment, data, sequence, occurred_at from lifecycle.published_events
        where tenant_id = ${tenantId} and connection_id = ${connectionId} and sequence > ${sequence}
        order by sequence limit ${limit}`
    ),
    (rows) => rows.map(toEvent)
  )

/** Up to `limit` events of a tenant after the event `after`, in the log's order; undefined when there is no such event. */
export const readLog = (
  database: Database["Service"],
  tenantId: string,
  after: string | undefined,
  limit: number
): Effect.Effect<ReadonlyArray<ApiEvent> | undefined, DatabaseError> =>
  Effect.gen(function* () {
    const position = after === undefined ? "" : yield* positionOf(database, tenantId, after)
    if (position === undefined) return undefined
    const rows = yield* database.query<EventRow>(
      (sql) => sql`
        select id, type, application_id, connection_id, environment, data, sequence, occurred_at from lifecycle.published_events
        where tenant_id = ${tenantId} and position > ${position} order by position limit ${limit}`
    )
    return rows.map(toEvent)
  })

const positionOf = (database: Database["Service"], tenantId: string, id: string) => {
  const look = Effect.map(
    database.query<{ readonly position: string }>(
      (sql) => sql`select position from lifecycle.published_events where tenant_id = ${tenantId} and id = ${id}`
    ),
    ([row]) => row?.position
  )
  // The log shows an event when no older transaction is open; a reader who got it over NATS can be that little bit faster.
  const again = Effect.repeat(Effect.delay(look, "50 millis"), { times: 5, until: (position) => position !== undefined })
  return Effect.flatMap(look, (position) => (position === undefined && isRecent(id) ? again : Effect.succeed(position)))
}

/** Was this UUIDv7 made within the last minute? */
const isRecent = (id: string): boolean => Math.abs(Date.now() - Number.parseInt(id.slice(0, 13).replace("-", ""), 16)) < 60_000
