/**
 * The calls that the lifecycle answers. Owns: which function answers which. Leaves to the gateway: who may ask, and HTTP.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { ensureCertificate } from "@connect-domain/messages/certifier.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { changedEdge } from "@connect-domain/messages/edge.ts"
import {
  applyRecords,
  archiveConnection,
  checkRecords,
  createConnection,
  rebuild,
  updateConnection,
  verifyConnection
} from "@connect-domain/messages/lifecycle.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { Clock, Effect } from "effect"
import { ConnectionActor } from "./ConnectionActor.ts"
import { type ConnectionRow, toView } from "./ConnectionRow.ts"
import { readConnection } from "./connectionStore.ts"
import { makeCreate } from "./createConnection.ts"
import type { Edit } from "./Draft.ts"
import { makeLooks } from "./Looks.ts"
import { Rebuild } from "./Rebuild.ts"
import { checkRedirect } from "./redirectTarget.ts"

/** Postgres that is away is the caller's to wait for; anything else of its making is our defect. */
const answered = <A>(effect: Effect.Effect<A, CallError | DatabaseError>): Effect.Effect<A, CallError> =>
  Effect.catchTag(effect, "DatabaseError", (error) =>
    error.reason === "Unavailable" || error.reason === "SerializationFailure"
      ? Effect.fail(new CallError({ code: "unavailable", message: "the database can't be reached; try again" }))
      : Effect.die(error)
  )

export const answerCalls = Effect.gen(function* () {
  const [calls, work] = [yield* Calls, yield* Work]
  const actor = yield* ConnectionActor
  const db = yield* Database
  const looks = yield* makeLooks
  const create = yield* makeCreate
  const { rebuild: rebuildAll } = yield* Rebuild

  const view = ({ row }: { readonly row: ConnectionRow }) => ({ connection: toView(row) })

  yield* calls.serve(createConnection, (request) => answered(Effect.map(create(request), (row) => view({ row }))))
  yield* calls.serve(updateConnection, (request) =>
    answered(
      Effect.gen(function* () {
        const { connection_id: id, tenant_id: tenantId } = request
        const redirect = request.edge?.redirect
        const row = redirect === undefined || redirect === null ? undefined : yield* readConnection(db, id, tenantId)
        const allowed = row === undefined || row.state === "archived" ? {} : { allowed: checkRedirect(db, row, redirect) }
        const edit = (before: ConnectionRow) => edited(before, request)
        return view(yield* actor.tell({ id, tenantId, command: { name: "UpdateRouting" }, edit, ...allowed }))
      })
    )
  )
  yield* calls.serve(archiveConnection, ({ connection_id: id, tenant_id: tenantId }) =>
    answered(Effect.map(actor.tell({ id, tenantId, command: { name: "Archive" } }), view))
  )
  /** Who asks for a look says that something may have changed: a certificate that could not be had is tried again. */
  const tryAgain = ({ connection }: { readonly connection: ConnectionView }) => {
    const { id, tenant_id, hostname, environment, certificate } = connection
    if (certificate.last_error === undefined) return Effect.void
    const wish = { connection_id: id, claim_id: id, tenant_id, hostname, environment, records: connection.desired_records }
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.ignore(work.send(ensureCertificate, { ...wish, reason: "asked" }, { id: `${id}.asked.${Math.floor(now / 60_000)}` }))
    )
  }
  yield* calls.serve(verifyConnection, ({ connection_id, tenant_id }) =>
    answered(
      looks.verify(tenant_id, connection_id).pipe(
        Effect.map((connection) => ({ connection })),
        Effect.tap(tryAgain)
      )
    )
  )
  yield* calls.serve(checkRecords, ({ connection_id, tenant_id }) =>
    answered(Effect.tap(looks.checkRecords(tenant_id, connection_id), tryAgain))
  )
  yield* calls.serve(applyRecords, ({ connection_id: id, tenant_id: tenantId }) =>
    answered(
      Effect.gen(function* () {
        const row = yield* readConnection(db, id, tenantId)
        const found = yield* db.query(
          (sql) => sql`select 1 from gateway.published_credentials where application_id = ${row?.application_id ?? null} limit 1`
        )
        return view(yield* actor.tell({ id, tenantId, command: { name: "ApplyRecords", has_credential: found.length > 0 } }))
      })
    )
  )
  yield* calls.serve(rebuild, () => answered(rebuildAll("asked for")))
})

const edited = (row: ConnectionRow, request: typeof updateConnection.payload.Type): Edit | CallError => {
  if (request.expected_version !== null && request.expected_version !== row.revision) {
    return new CallError({ code: "precondition_failed", message: "the connection has changed meanwhile; read it again" })
  }
  if (JSON.stringify([request.metadata, request.origin, request.batch_id]).includes("\\u0000")) {
    return new CallError({ code: "invalid", message: "the character U+0000 can't be stored" })
  }
  if (row.state === "archived") {
    const message = `this connection is archived and does not change any more: create a new one for ${row.hostname} with POST /v1/connections`
    return new CallError({ code: "connection_archived", message })
  }
  return {
    ...(request.metadata === undefined ? {} : { metadata: request.metadata }),
    ...(request.origin === undefined ? {} : { origin: request.origin }),
    ...(request.edge === undefined ? {} : { edge: changedEdge(row.edge, request.edge) }),
    ...(request.batch_id === undefined ? {} : { batch_id: request.batch_id })
  }
}
