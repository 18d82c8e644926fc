/**
 * Applications: create, list, read, change, delete.
 *
 * Owns: the rows and telling the lifecycle of every change (through the outbox, in the same transaction). A deleted
 * application's keys stop at once and its credentials are wiped; one that still has connections is not deleted.
 */
import { createHash } from "node:crypto"
import { Database } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { changedEdge } from "@connect-domain/messages/edge.ts"
import { applicationChanged } from "@connect-domain/messages/lifecycle.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { Effect } from "effect"
import type { ApplicationsApi } from "../api/applications.ts"
import { writeAudit } from "../audit.ts"
import { Keys } from "../auth/Keys.ts"
import { ApiError, notFound } from "../http/ApiError.ts"
import { toPage } from "../http/Cursor.ts"
import { type Handlers, Reply } from "../http/Endpoint.ts"
import { etagOf, matchVersion } from "../http/etag.ts"
import { Settings } from "../Settings.ts"
import { checkOrigin } from "./originField.ts"
import { type ApplicationRow, readApplication, toApplication } from "./readApplication.ts"

const inUse = new ApiError({ code: "application_in_use", message: "archive the application's connections first" })

/** As the audit log keeps it: a page's text is long and says little about who changed what. */
const audited = (row: ApplicationRow) => {
  const { error_page, ...rest } = toApplication(row)
  return { ...rest, error_page_sha256: error_page === null ? null : createHash("sha256").update(error_page).digest("hex") }
}

const replyWith = (row: ApplicationRow) => new Reply(toApplication(row), { etag: etagOf(row.version) })

export const applicationHandlers = Effect.gen(function* () {
  const database = yield* Database
  const outbox = yield* Outbox
  const settings = yield* Settings
  const keys = yield* Keys
  const tellOfChange = (application_id: string, tenant_id: string) =>
    outbox.add([{ definition: applicationChanged, payload: { application_id, tenant_id }, id: uuidv7() }])
  const check = (body: Readonly<Record<string, unknown>>) => checkOrigin(settings, body.origin)
  const handlers: Handlers<typeof ApplicationsApi> = {
    createApplication: {
      check,
      handle: (input) =>
        Effect.gen(function* () {
          const { name, environment = "test", origin = null, allowed_origins = [], record_template = null, error_page = null } = input.body
          const edge = changedEdge({}, input.body.edge)
          const [row] = yield* database.query<ApplicationRow>(
            (sql) => sql`
              insert into gateway.applications (id, tenant_id, name, environment, origin, allowed_origins, record_template, edge,
                error_page)
              values (${input.plannedId}, ${input.caller.tenant_id}, ${name}, ${environment}, ${origin}, ${sql.json(allowed_origins)},
                ${record_template === null ? null : sql.json(record_template as never)}, ${sql.json(edge as never)}, ${error_page})
              returning *`
          )
          yield* tellOfChange(row!.id, input.caller.tenant_id)
          yield* writeAudit(database, input, { action: "create", objectType: "application", objectId: row!.id, after: audited(row!) })
          return replyWith(row!)
        })
    },
    listApplications: ({ caller, query }) =>
      Effect.gen(function* () {
        const after = yield* settings.cursors.read(caller.tenant_id, "applications", query.cursor)
        const rows = yield* database.query<ApplicationRow>(
          (sql) => sql`
            select * from gateway.applications
            where tenant_id = ${caller.tenant_id} and deleted_at is null ${after === undefined ? sql`` : sql`and id < ${after}`}
            order by id desc limit ${query.limit + 1}`
        )
        const page = toPage(rows, query.limit, (last) => settings.cursors.write(caller.tenant_id, "applications", last.id))
        return { ...page, data: page.data.map(toApplication) }
      }),
    readApplication: ({ caller, params }) => Effect.map(readApplication(database, caller.tenant_id, params.id), replyWith),
    updateApplication: {
      check,
      handle: (input) =>
        database.transaction(
          Effect.gen(function* () {
            const before = yield* lockApplication(database, input.caller.tenant_id, input.params.id)
            yield* matchVersion(input.headers["if-match"], before.version)
            const next = { ...before, ...input.body, edge: changedEdge(before.edge, input.body.edge) }
            const [row] = yield* database.query<ApplicationRow>(
              (sql) => sql`
                update gateway.applications set name = ${next.name}, origin = ${next.origin},
                  allowed_origins = ${sql.json(next.allowed_origins)},
                  record_template = ${next.record_template === null ? null : sql.json(next.record_template as never)},
                  edge = ${sql.json(next.edge as never)}, error_page = ${next.error_page},
                  version = version + 1, updated_at = now()
                where tenant_id = ${input.caller.tenant_id} and id = ${before.id} returning *`
            )
            yield* writeAudit(database, input, {
              action: "update",
              objectType: "application",
              objectId: before.id,
              before: audited(before),
              after: audited(row!)
            })
            yield* tellOfChange(before.id, input.caller.tenant_id)
            return replyWith(row!)
          })
        )
    },
    deleteApplication: (input) =>
      Effect.gen(function* () {
        const { tenant_id } = input.caller
        const { id } = input.params
        const [row] = yield* database.query<ApplicationRow>(
          (sql) => sql`select * from gateway.applications where tenant_id = ${tenant_id} and id = ${id} for update`
        )
        if (row === undefined) return yield* notFound
        if (row.deleted_at !== null) return
        const open = yield* database.query(
          (sql) => sql`
            select 1 as found from lifecycle.published_connections
            where tenant_id = ${tenant_id} and application_id = ${id} and state not in ('archived', 'failed') limit 1`
        )
        if (open.length > 0) return yield* inUse
        yield* database.query(
          (sql) => sql`update gateway.applications set deleted_at = now() where tenant_id = ${tenant_id} and id = ${id}`
        )
        yield* database.query(
          (sql) =>
            sql`update gateway.credentials set sealed = '', deleted_at = now() where tenant_id = ${tenant_id} and application_id = ${id}`
        )
        yield* writeAudit(database, input, { action: "delete", objectType: "application", objectId: id, before: audited(row) })
        yield* tellOfChange(id, tenant_id)
        yield* database.afterCommit(() => Effect.runSync(keys.forgetAll))
      }).pipe(database.transaction)
  }
  return handlers
})

const lockApplication = (database: Database["Service"], tenantId: string, id: string) =>
  Effect.flatMap(
    database.query<ApplicationRow>(
      (sql) => sql`select * from gateway.applications where tenant_id = ${tenantId} and id = ${id} and deleted_at is null for update`
    ),
    ([row]) => (row === undefined ? Effect.fail(notFound) : Effect.succeed(row))
  )
