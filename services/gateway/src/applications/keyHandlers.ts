/**
 * API keys of an application.
 *
 * Owns: making (secret shown once), listing, revoking at once. A key can't make one that reaches further or lives longer than itself.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { Effect } from "effect"
import type { Scope } from "../api/Access.ts"
import type { KeysApi } from "../api/keys.ts"
import { writeAudit } from "../audit.ts"
import { hashSecret, last4, makeSecret } from "../auth/ApiKey.ts"
import type { Caller } from "../auth/Caller.ts"
import { Keys } from "../auth/Keys.ts"
import { type ApiError, type FieldProblem, forbidden, notFound } from "../http/ApiError.ts"
import { toPage } from "../http/Cursor.ts"
import type { Handlers } from "../http/Endpoint.ts"
import { Settings } from "../Settings.ts"
import { readApplication } from "./readApplication.ts"

interface KeyRow {
  readonly id: string
  readonly name: string
  readonly last4: string
  readonly environment: "test" | "live"
  readonly scopes: ReadonlyArray<Scope>
  readonly created_at: Date
  readonly expires_at: Date | null
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
}

const time = (date: Date | null): string | null => (date === null ? null : date.toISOString())

const toKey = (row: KeyRow) => ({
  id: row.id,
  name: row.name,
  last4: row.last4,
  environment: row.environment,
  scopes: row.scopes,
  created_at: row.created_at.toISOString(),
  expires_at: time(row.expires_at),
  last_used_at: time(row.last_used_at),
  revoked_at: time(row.revoked_at)
})

/** Why `caller` may not hand out such a key. */
const tooWide = (caller: Caller, scopes: ReadonlyArray<Scope>, expiresAt: Date | null): ApiError | undefined => {
  if (caller.kind !== "key" || !scopes.every((scope) => caller.scopes.has(scope))) {
    return forbidden("a key can't make one with scopes that it does not have itself")
  }
  if (caller.expires_at !== null && (expiresAt === null || expiresAt > caller.expires_at)) {
    return forbidden("a key can't make one that outlives it")
  }
  return undefined
}

const checkExpiry = (body: Readonly<Record<string, unknown>>): ReadonlyArray<FieldProblem> =>
  typeof body.expires_at === "string" && Date.parse(body.expires_at) <= Date.now()
    ? [{ field: "expires_at", message: "must lie in the future" }]
    : []

export const keyHandlers = Effect.gen(function* () {
  const database = yield* Database
  const settings = yield* Settings
  const keys = yield* Keys
  const handlers: Handlers<typeof KeysApi> = {
    createKey: {
      check: checkExpiry,
      handle: (input) =>
        Effect.gen(function* () {
          const { caller, body, plannedId } = input
          const application = yield* readApplication(database, caller.tenant_id, input.params.id)
          const expiresAt = body.expires_at === undefined || body.expires_at === null ? null : new Date(body.expires_at)
          const denial = tooWide(caller, body.scopes, expiresAt)
          if (denial !== undefined) return yield* denial
          const secret = makeSecret(application.environment, plannedId)
          const [row] = yield* database.query<KeyRow>(
            (sql) => sql`
              insert into gateway.keys (id, tenant_id, application_id, name, environment, scopes, sha256, last4, expires_at)
              values (${plannedId}, ${caller.tenant_id}, ${application.id}, ${body.name}, ${application.environment},
                ${sql.json(body.scopes)}, ${hashSecret(secret)}, ${last4(secret)}, ${expiresAt})
              returning *`
          )
          yield* writeAudit(database, input, { action: "create", objectType: "key", objectId: plannedId, after: toKey(row!) })
          return { ...toKey(row!), secret }
        })
    },
    listKeys: ({ caller, params, query }) =>
      Effect.gen(function* () {
        const application = yield* readApplication(database, caller.tenant_id, params.id)
        const list = `keys ${application.id}`
        const after = yield* settings.cursors.read(caller.tenant_id, list, query.cursor)
        const rows = yield* database.query<KeyRow>(
          (sql) => sql`
            select * from gateway.keys where tenant_id = ${caller.tenant_id} and application_id = ${application.id}
              ${after === undefined ? sql`` : sql`and id < ${after}`}
            order by id desc limit ${query.limit + 1}`
        )
        const page = toPage(rows, query.limit, (last) => settings.cursors.write(caller.tenant_id, list, last.id))
        return { ...page, data: page.data.map(toKey) }
      }),
    revokeKey: (input) =>
      Effect.gen(function* () {
        const { id, key_id } = input.params
        yield* readApplication(database, input.caller.tenant_id, id)
        const [row] = yield* database.query<KeyRow>(
          (sql) => sql`
            update gateway.keys set revoked_at = coalesce(revoked_at, now())
            where tenant_id = ${input.caller.tenant_id} and application_id = ${id} and id = ${key_id} returning *`
        )
        if (row === undefined) return yield* notFound
        yield* writeAudit(database, input, { action: "revoke", objectType: "key", objectId: key_id, after: toKey(row) })
        yield* database.afterCommit(() => Effect.runSync(keys.forget(key_id)))
      }).pipe(database.transaction)
  }
  return handlers
})
