/**
 * The call `create`: a connection is born, or the name is refused.
 *
 * Owns: the plan of records, the set-up type, the challenge, the row. Leaves to libs/connection: the first step and what it asks; to the
 * gateway: who may create what; to billing: the reservation, which is used up in the same transaction.
 * Idempotent by connection id: the same create twice, also after a crash, is one row and the same answer. Creates that arrive together
 * share one statement.
 */
import { certificateRecords } from "@connect-domain/connection/certificateRecords.ts"
import { decide } from "@connect-domain/connection/decide.ts"
import { checkRecords, planRecords, type Target } from "@connect-domain/connection/planRecords.ts"
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { challengeName, newChallengeValue } from "@connect-domain/domain/Challenge.ts"
import { readEdgeAddresses, readEdgeHostname } from "@connect-domain/domain/edgeSettings.ts"
import { apexOf, kindOf } from "@connect-domain/domain/Hostname.ts"
import type { createConnection } from "@connect-domain/messages/lifecycle.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { contextHeaders } from "@connect-domain/telemetry/requestContext.ts"
import { Clock, Effect, Exit, Result } from "effect"
import { type ConnectionRow, newRow } from "./ConnectionRow.ts"
import { type CertificatePlan, makeCertificatePlan } from "./certificatePlan.ts"
import { insertConnections, readConnection, sharing } from "./connectionStore.ts"
import { Draft, type Headers, type Surroundings } from "./Draft.ts"
import { groupCommit } from "./GroupCommit.ts"
import { type OutboxRow, reservationCommitted, toOutbox } from "./outgoing.ts"
import { checkRedirect } from "./redirectTarget.ts"
import { timing } from "./timing.ts"
import { Wake } from "./Wake.ts"

type Request = typeof createConnection.payload.Type

interface Birth {
  readonly row: ConnectionRow
  readonly outbox: ReadonlyArray<OutboxRow>
}

export const makeCreate = Effect.gen(function* () {
  const db = yield* Database
  const outbox = yield* Outbox
  const wake = yield* Wake
  const settings = yield* timing
  const edge = yield* readEdgeHostname
  const edge_addresses = yield* readEdgeAddresses
  const prepare = yield* makeCertificatePlan

  const insert = yield* groupCommit<Birth, ConnectionRow, CallError | DatabaseError, never>(sharing, (births) =>
    Effect.gen(function* () {
      const rows = births.map(({ row }) => row)
      const messages = births.flatMap(({ row, outbox }) => outbox.map((message) => ({ ...message, of: row.id })))
      const made = yield* insertConnections(db, rows, messages)
      if (made.size > 0) {
        outbox.poke()
        wake.committed({ changed: new Map(rows.map((row) => [row.id, row])), registry: new Map() })
      }
      return yield* Effect.forEach(rows, (row) => (made.has(row.id) ? Effect.succeed(Exit.succeed(row)) : Effect.exit(existing(db, row))))
    })
  )

  return (request: Request): Effect.Effect<ConnectionRow, CallError | DatabaseError> =>
    Effect.withFiber((fiber) => {
      const headers = contextHeaders(fiber.context) ?? {}
      return Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const certificate = yield* prepare(request)
        const row = yield* Effect.fromResult(plan(request, headers, { edge, edge_addresses, certificate }, now))
        // A repetition is answered as the first time, whatever has become of the target since.
        yield* Effect.catch(checkRedirect(db, row, row.edge.redirect), (refused) => Effect.mapError(existing(db, row), () => refused))
        return yield* insert(firstStep(row, request, headers, { now, random: Math.random, timing: settings }))
      })
    })
})

/** Either the very same create before, or a name that somebody holds. */
const existing = (db: Database["Service"], row: ConnectionRow) =>
  Effect.flatMap(readConnection(db, row.id, row.tenant_id), (found) =>
    found !== undefined && found.hostname === row.hostname
      ? Effect.succeed(found)
      : Effect.fail(new CallError({ code: "HostnameConflict", message: `${row.hostname} is connected already` }))
  )

const firstStep = (row: ConnectionRow, request: Request, headers: Headers, around: Surroundings): Birth => {
  const { now, timing } = around
  const { events } = decide(row, { name: "Proceed" }, { now, timing, random: around.random(), held_by_another: false })
  const draft = new Draft([], new Set(), around)
  const born = draft.apply(row, events, headers)
  return { row: born, outbox: [reservationCommitted(born, headers), ...toOutbox(draft, () => request.credentials)] }
}

/** JSON may hold the one character that PostgreSQL's text can't. */
const unstorable = ({ metadata, batch_id, origin, dns_records }: Request): boolean =>
  JSON.stringify([metadata, batch_id, origin, dns_records]).includes("\\u0000")

const invalid = (field: string, message: string) =>
  Result.fail(new CallError({ code: "invalid", message: `${field} ${message}`, details: [{ field, message }] }))

const plan = (
  request: Request,
  made_by: Headers,
  { edge, edge_addresses, certificate }: Pick<Target, "edge" | "edge_addresses"> & { readonly certificate: CertificatePlan },
  now: number
): Result.Result<ConnectionRow, CallError> => {
  const { hostname } = request
  const apex = apexOf(hostname)
  if (apex === undefined) return invalid("hostname", "has no registrable domain")
  if (unstorable(request)) return invalid("metadata", "must not contain the character U+0000")
  const able = request.credentials.length > 0
  const setup_type = request.setup_type ?? (able ? "automatic" : "manual")
  if (setup_type === "automatic" && !able) return invalid("setup_type", "automatic needs a DNS credential of the application")
  const target: Target = { hostname, apex, kind: kindOf(hostname), edge, edge_addresses }
  const records =
    request.dns_records === null ? planRecords(request.record_template, target) : checkRecords(request.dns_records, target, "dns_records")
  if (Result.isFailure(records)) return invalid(records.failure.field, records.failure.message)
  return Result.succeed(
    newRow(
      {
        id: request.connection_id,
        tenant_id: request.tenant_id,
        application_id: request.application_id,
        environment: request.environment,
        hostname,
        kind: target.kind,
        setup_type,
        automatic: setup_type === "automatic",
        batch_id: request.batch_id,
        metadata: request.metadata,
        origin: request.origin,
        application_origin: request.application_origin,
        edge: request.edge ?? {},
        desired_records: [...records.success, ...certificateRecords(records.success, { ...certificate, hostname, credential: able })],
        challenge: { name: challengeName(hostname), type: "TXT", value: newChallengeValue() },
        made_by
      },
      now
    )
  )
}
