/**
 * Delegated DNS credentials: sealed when they come in, opened only by the connector.
 *
 * Owns: the sealed row; the provider's form, as the connector's live provider set declares it. Leaves to the connector: whether it works.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { canonicalise } from "@connect-domain/domain/Hostname.ts"
import { listProviders, type ProviderView, testCredential } from "@connect-domain/messages/connector.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { credentialPlace } from "@connect-domain/secrets/credentialPlace.ts"
import { Effect, Result } from "effect"
import type { CredentialsApi } from "../api/credentials.ts"
import { writeAudit } from "../audit.ts"
import { hostnameProblems } from "../connections/hostnameField.ts"
import { type FieldProblem, invalid, notFound } from "../http/ApiError.ts"
import { toPage } from "../http/Cursor.ts"
import type { Handlers } from "../http/Endpoint.ts"
import { Settings } from "../Settings.ts"
import { readApplication } from "./readApplication.ts"

interface CredentialRow {
  readonly id: string
  readonly provider: string
  readonly label: string | null
  readonly sealed: string
  readonly created_at: Date
}

const toCredential = (row: CredentialRow) => ({
  id: row.id,
  provider: row.provider,
  label: row.label,
  created_at: row.created_at.toISOString()
})

/** An object is checked against the provider's fields; a string's parts are the provider's business. */
const tokenProblems = (
  provider: ProviderView | undefined,
  token: string | Readonly<Record<string, unknown>>
): ReadonlyArray<FieldProblem> => {
  if (provider === undefined) return [{ field: "provider", message: "is not a provider that can be used; see GET /v1/providers" }]
  if (typeof token === "string" || provider.credential_fields.length === 0) return []
  const known = new Set(provider.credential_fields.map((field) => field.name))
  const missing = provider.credential_fields.filter((field) => field.required && (token[field.name] ?? "") === "")
  return [
    ...missing.map((field) => ({ field: `token.${field.name}`, message: "is required" })),
    ...Object.keys(token)
      .filter((name) => !known.has(name))
      .map((name) => ({ field: `token.${name}`, message: `is not a field of ${provider.name}` }))
  ]
}

export const credentialHandlers = Effect.gen(function* () {
  const database = yield* Database
  const settings = yield* Settings
  const calls = yield* Calls
  const handlers: Handlers<typeof CredentialsApi> = {
    createCredential: (input) =>
      Effect.gen(function* () {
        const { caller, body, plannedId } = input
        const application = yield* readApplication(database, caller.tenant_id, input.params.id)
        const { providers } = yield* calls.request(listProviders, {})
        const problems = tokenProblems(
          providers.find((provider) => provider.key === body.provider),
          body.token
        )
        if (problems.length > 0) return yield* invalid(...problems)
        const sealed = settings.vault.seal(
          JSON.stringify(body.token),
          credentialPlace({ credential_id: plannedId, tenant_id: caller.tenant_id })
        )
        const [row] = yield* database.query<CredentialRow>(
          (sql) => sql`
            insert into gateway.credentials (id, tenant_id, application_id, provider, label, sealed)
            values (${plannedId}, ${caller.tenant_id}, ${application.id}, ${body.provider}, ${body.label ?? null}, ${sealed})
            returning *`
        )
        yield* writeAudit(database, input, { action: "create", objectType: "credential", objectId: plannedId, after: toCredential(row!) })
        return toCredential(row!)
      }),
    listCredentials: ({ caller, params, query }) =>
      Effect.gen(function* () {
        const application = yield* readApplication(database, caller.tenant_id, params.id)
        const list = `credentials ${application.id}`
        const after = yield* settings.cursors.read(caller.tenant_id, list, query.cursor)
        const rows = yield* database.query<CredentialRow>(
          (sql) => sql`
            select * from gateway.credentials
            where tenant_id = ${caller.tenant_id} and application_id = ${application.id} and deleted_at is null
              ${after === undefined ? sql`` : sql`and id < ${after}`}
            order by id desc limit ${query.limit + 1}`
        )
        const page = toPage(rows, query.limit, (last) => settings.cursors.write(caller.tenant_id, list, last.id))
        return { ...page, data: page.data.map(toCredential) }
      }),
    deleteCredential: (input) =>
      Effect.gen(function* () {
        const { id, credential_id } = input.params
        yield* readApplication(database, input.caller.tenant_id, id)
        const [row] = yield* database.query<CredentialRow>(
          (sql) => sql`
            update gateway.credentials set sealed = '', deleted_at = coalesce(deleted_at, now())
            where tenant_id = ${input.caller.tenant_id} and application_id = ${id} and id = ${credential_id} returning *`
        )
        if (row === undefined) return yield* notFound
        yield* writeAudit(database, input, {
          action: "delete",
          objectType: "credential",
          objectId: credential_id,
          before: toCredential(row)
        })
      }).pipe(database.transaction),
    testCredential: {
      check: (body) => hostnameProblems(settings, body.hostname, "hostname"),
      handle: ({ caller, params, body }) =>
        Effect.gen(function* () {
          const [row] = yield* database.query<CredentialRow>(
            (sql) => sql`
              select * from gateway.credentials where tenant_id = ${caller.tenant_id} and application_id = ${params.id}
                and id = ${params.credential_id} and deleted_at is null`
          )
          if (row === undefined) return yield* notFound
          const hostname = body.hostname === undefined ? null : Result.getOrThrow(canonicalise(body.hostname, settings.hostnamePolicy))
          const credential = { credential_id: row.id, tenant_id: caller.tenant_id, provider: row.provider, sealed: row.sealed }
          return yield* calls.request(testCredential, { credential, hostname })
        })
    }
  }
  return handlers
})
