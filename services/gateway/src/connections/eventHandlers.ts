/** Events in the API: one connection's history (as JSON, or followed live) and the tenant's log. */
import { Database } from "@connect-domain/database/Database.ts"
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import { Events } from "@connect-domain/nats/Events.ts"
import { Effect } from "effect"
import type { EventsApi } from "../api/events.ts"
import { Keys } from "../auth/Keys.ts"
import { invalid } from "../http/ApiError.ts"
import { toPage } from "../http/Cursor.ts"
import type { Handlers } from "../http/Endpoint.ts"
import { Settings } from "../Settings.ts"
import { followEvents } from "./followEvents.ts"
import { readConnection } from "./readConnections.ts"
import { readConnectionEvents, readLog } from "./readEvents.ts"

const unknownEvent = invalid({ field: "after", message: "is not the id of an event" })

export const eventHandlers = Effect.gen(function* () {
  const database = yield* Database
  const events = yield* Events
  const settings = yield* Settings
  const keys = yield* Keys
  /** Where a reconnecting reader left off; an id that is not of this connection reads from the start. */
  const sequenceOf = (tenantId: string, connectionId: string, lastEventId: string | undefined) =>
    isUuid(lastEventId)
      ? Effect.map(
          database.query<{ readonly sequence: number }>(
            (sql) => sql`
              select sequence from lifecycle.published_events
              where tenant_id = ${tenantId} and connection_id = ${connectionId} and id = ${lastEventId}`
          ),
          ([row]) => row?.sequence ?? 0
        )
      : Effect.succeed(0)
  const handlers: Handlers<typeof EventsApi> = {
    listConnectionEvents: ({ caller, params, query, headers }) =>
      Effect.gen(function* () {
        const { id } = yield* readConnection(database, caller, params.id)
        if (headers.accept?.includes("text/event-stream")) {
          const after = yield* sequenceOf(caller.tenant_id, id, headers["last-event-id"])
          return followEvents(database, events, keys, { caller, connectionId: id, after })
        }
        const list = `events ${id}`
        const after = Number((yield* settings.cursors.read(caller.tenant_id, list, query.cursor)) ?? 0)
        const rows = yield* readConnectionEvents(database, caller.tenant_id, id, after, query.limit + 1)
        return toPage(rows, query.limit, (last) => settings.cursors.write(caller.tenant_id, list, String(last.sequence)))
      }),
    listEvents: ({ caller, query }) =>
      Effect.gen(function* () {
        if (query.after !== undefined && !isUuid(query.after)) return yield* unknownEvent
        const rows = yield* readLog(database, caller.tenant_id, query.after, query.limit + 1)
        if (rows === undefined) return yield* unknownEvent
        return toPage(rows, query.limit, (last) => last.id)
      })
  }
  return handlers
})
