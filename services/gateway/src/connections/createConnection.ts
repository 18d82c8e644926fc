/**
 * POST /v1/connections: reserve the quota, then let the lifecycle create. Both are idempotent by the connection's id, which was fixed first.
 *
 * Owns: that order, what a widget token may ask for, handing along the application's template, origin and sealed credentials. Leaves to
 * the lifecycle: every decision. A refused create uses nothing: its reservation is released before the refusal is answered; when the
 * lifecycle did not answer, the create may have happened, and billing settles the reservation itself.
 */
import { checkRecords } from "@connect-domain/connection/planRecords.ts"
import type { Database } from "@connect-domain/database/Database.ts"
import { apexOf, canonicalise, isWildcard, kindOf, parseHostname } from "@connect-domain/domain/Hostname.ts"
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import { releaseConnect, reserveConnect } from "@connect-domain/messages/billing.ts"
import { changedEdge } from "@connect-domain/messages/edge.ts"
import { createConnection } from "@connect-domain/messages/lifecycle.ts"
import type { SealedCredential } from "@connect-domain/messages/record.ts"
import type { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Result } from "effect"
import type { NewConnection } from "../api/connections.ts"
import { checkOrigin } from "../applications/originField.ts"
import type { ApplicationRow } from "../applications/readApplication.ts"
import { type Caller, mayUseCredentials } from "../auth/Caller.ts"
import { type FieldProblem, forbidden, invalid, notFound } from "../http/ApiError.ts"
import type { Settings } from "../Settings.ts"
import { hostnameProblems } from "./hostnameField.ts"

type Body = typeof NewConnection.Type

const widgetFields = new Set(["application_id", "hostname", "setup_type"])

/** What the schema can't judge. */
export const checkNewConnection =
  (settings: Settings["Service"]) =>
  (body: Readonly<Record<string, unknown>>, caller: Caller): ReadonlyArray<FieldProblem> => [
    ...hostnameProblems(settings, body.hostname, "hostname"),
    ...checkOrigin(settings, body.origin),
    ...(caller.kind === "key"
      ? body.application_id === undefined
        ? [{ field: "application_id", message: "is required" }]
        : []
      : Object.keys(body)
          .filter((field) => !widgetFields.has(field))
          .map((field) => ({ field, message: "can't be set with a widget token" })))
  ]

interface ApplicationWithCredentials extends ApplicationRow {
  readonly credentials: ReadonlyArray<SealedCredential>
}

const readWithCredentials = (database: Database["Service"], tenantId: string, id: string) =>
  isUuid(id)
    ? Effect.flatMap(
        database.query<ApplicationWithCredentials>(
          (sql) => sql`
            select a.*, coalesce((
              select jsonb_agg(jsonb_build_object('credential_id', c.id, 'tenant_id', c.tenant_id, 'provider', c.provider, 'sealed', c.sealed)
                order by c.id)
              from gateway.credentials c where c.tenant_id = a.tenant_id and c.application_id = a.id and c.deleted_at is null), '[]') as credentials
            from gateway.applications a where a.tenant_id = ${tenantId} and a.id = ${id} and a.deleted_at is null`
        ),
        ([row]) => (row === undefined ? Effect.fail(notFound) : Effect.succeed(row))
      )
    : Effect.fail(notFound)

/** Defaults filled in, and what libs/connection says about the plan as a whole. */
const recordsOf = (settings: Settings["Service"], body: Body, hostname: string) => {
  if (body.dns_records === undefined) return Result.succeed(null)
  const records = body.dns_records.map((record) => ({ ...record, ttl: record.ttl ?? 300 }))
  const target = {
    hostname,
    apex: apexOf(hostname) ?? hostname,
    kind: kindOf(hostname),
    edge: settings.edge,
    edge_addresses: settings.edgeAddresses
  }
  return checkRecords(records, target, "dns_records")
}

export const makeCreateConnection = (database: Database["Service"], calls: Calls["Service"], settings: Settings["Service"]) =>
  Effect.fnUntraced(function* (input: { readonly caller: Caller; readonly body: Body; readonly plannedId: string }) {
    const { caller, body, plannedId } = input
    const hostname = Result.getOrThrow(canonicalise(body.hostname, settings.hostnamePolicy))
    if (caller.kind === "widget") {
      if (body.application_id !== undefined && body.application_id !== caller.application_id) return yield* notFound
      if (caller.domain !== undefined && caller.domain !== hostname) return yield* forbidden("this token is for another host name")
      if (caller.domain === undefined && isWildcard(hostname))
        return yield* forbidden(`a wildcard needs a token for itself: make one with "domain": "${hostname}"`)
      if (!mayUseCredentials(caller) && body.setup_type === "automatic")
        return yield* forbidden(`automatic set-up needs a token for the host name: make one with "domain": "${hostname}"`)
    }
    const application = yield* readWithCredentials(database, caller.tenant_id, body.application_id ?? caller.application_id)
    const records = recordsOf(settings, body, hostname)
    if (Result.isFailure(records)) return yield* invalid(records.failure)
    if (caller.kind === "widget" && caller.sub !== undefined) yield* rememberSub(database, caller, plannedId, caller.sub)
    const reservation = { tenant_id: caller.tenant_id, connection_id: plannedId }
    yield* calls.request(reserveConnect, reservation)
    const created = yield* calls
      .request(createConnection, {
        connection_id: plannedId,
        tenant_id: caller.tenant_id,
        application_id: application.id,
        environment: application.environment,
        hostname,
        setup_type: body.setup_type ?? null,
        record_template: application.record_template,
        dns_records: records.success,
        origin: body.origin ?? null,
        batch_id: body.batch_id ?? null,
        metadata: body.metadata ?? {},
        credentials: mayUseCredentials(caller) ? application.credentials : [],
        application_origin: application.origin,
        edge: changedEdge({}, body.edge)
      })
      .pipe(
        Effect.tapError((error) =>
          error.code === "unavailable" || error.code === "internal"
            ? Effect.void
            : Effect.ignore(calls.request(releaseConnect, reservation))
        )
      )
    return created.connection
  })

const rememberSub = (database: Database["Service"], caller: Caller, connectionId: string, sub: string) =>
  database.query(
    (sql) => sql`
      insert into gateway.widget_connections (connection_id, tenant_id, application_id, sub)
      values (${connectionId}, ${caller.tenant_id}, ${caller.application_id}, ${sub}) on conflict do nothing`
  )

/** A list's filter: any spelling of a name finds it, an impossible one finds nothing. */
export const filterHostname = (text: string): string => {
  const parsed = parseHostname(text)
  return Result.isSuccess(parsed) ? parsed.success : ""
}
