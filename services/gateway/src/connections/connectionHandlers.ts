/**
 * Connections in the API: reads from the published view, every change asked of the lifecycle.
 *
 * Owns: the translation between the API and the lifecycle's calls. Leaves to the lifecycle: any decision about a connection.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { applyRecords, archiveConnection, checkRecords, updateConnection, verifyConnection } from "@connect-domain/messages/lifecycle.ts"
import type { RecordLook } from "@connect-domain/messages/record.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import type { ConnectionsApi } from "../api/connections.ts"
import { checkOrigin } from "../applications/originField.ts"
import { type Caller, mayUseCredentials } from "../auth/Caller.ts"
import { forbidden } from "../http/ApiError.ts"
import { toPage } from "../http/Cursor.ts"
import { type Handlers, Reply } from "../http/Endpoint.ts"
import { etagOf, expectedVersion } from "../http/etag.ts"
import { Settings } from "../Settings.ts"
import { checkNewConnection, filterHostname, makeCreateConnection } from "./createConnection.ts"
import { makeImportedCertificate } from "./importedCertificate.ts"
import { listConnections, readConnection } from "./readConnections.ts"

const shown = (connection: ConnectionView) => ({ ...connection, edge: connection.edge ?? {} })
const replyWith = (connection: ConnectionView) => new Reply(shown(connection), { etag: etagOf(connection.version) })

const toRecordCheck = (look: RecordLook) => ({
  host: look.host,
  type: look.type,
  value: look.value,
  propagated: look.verdict === "match",
  observed_value: look.observed_value,
  verdict: look.verdict,
  servers: look.servers,
  ...(look.required === undefined ? {} : { required: look.required })
})

export const connectionHandlers = Effect.gen(function* () {
  const database = yield* Database
  const calls = yield* Calls
  const settings = yield* Settings
  const create = makeCreateConnection(database, calls, settings)
  const imported = makeImportedCertificate(database, calls)
  /** The lifecycle knows tenants; whether a connection is a widget token's own is known here. */
  const target = (caller: Caller, id: string) =>
    Effect.as(caller.kind === "widget" ? Effect.asVoid(readConnection(database, caller, id)) : Effect.void, {
      tenant_id: caller.tenant_id,
      connection_id: id
    })
  const handlers: Handlers<typeof ConnectionsApi> = {
    createConnection: { check: checkNewConnection(settings), handle: (input) => Effect.map(create(input), replyWith) },
    listConnections: ({ caller, query }) =>
      Effect.gen(function* () {
        const { cursor, limit, hostname, ...rest } = query
        const before = yield* settings.cursors.read(caller.tenant_id, "connections", cursor)
        const filter = { ...rest, hostname: hostname === undefined ? undefined : filterHostname(hostname) }
        if (filter.application_id !== undefined && !isUuid(filter.application_id)) return { data: [], next_cursor: null }
        const rows = yield* listConnections(database, caller.tenant_id, filter, before, limit + 1)
        return toPage(rows, limit, (last) => settings.cursors.write(caller.tenant_id, "connections", last.id))
      }),
    readConnection: ({ caller, params }) => Effect.map(readConnection(database, caller, params.id), replyWith),
    updateConnection: {
      check: (body) => checkOrigin(settings, body.origin),
      handle: ({ caller, params, body, headers }) =>
        Effect.gen(function* () {
          const expected_version = yield* expectedVersion(headers["if-match"])
          const payload = { tenant_id: caller.tenant_id, connection_id: params.id, expected_version, ...body }
          return replyWith((yield* calls.request(updateConnection, payload)).connection)
        })
    },
    archiveConnection: ({ caller, params }) =>
      Effect.map(calls.request(archiveConnection, { tenant_id: caller.tenant_id, connection_id: params.id }), ({ connection }) =>
        replyWith(connection)
      ),
    verifyConnection: ({ caller, params }) =>
      Effect.flatMap(target(caller, params.id), (one) =>
        Effect.map(calls.request(verifyConnection, one), ({ connection }) => replyWith(connection))
      ),
    checkRecords: ({ caller, params }) =>
      Effect.flatMap(target(caller, params.id), (one) =>
        Effect.map(calls.request(checkRecords, one), ({ connection, look, eta }) => ({
          connection: shown(connection),
          records: look.records.map(toRecordCheck),
          eta
        }))
      ),
    applyRecords: ({ caller, params }) =>
      Effect.gen(function* () {
        const one = yield* target(caller, params.id)
        if (!mayUseCredentials(caller)) return yield* forbidden('writing records needs a token for the host name: make one with "domain"')
        return replyWith((yield* calls.request(applyRecords, one)).connection)
      }),
    importCertificate: (input) => imported.upload(input, input.params.id, input.body),
    removeCertificate: (input) => imported.remove(input, input.params.id)
  }
  return handlers
})
