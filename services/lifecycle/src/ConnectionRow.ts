/**
 * A connection as its table holds it: what the machine reads, and what it only carries along.
 *
 * Owns: the way from SQL to the machine and back, and to the form that callers see. Times are milliseconds here, `timestamptz` there.
 */
import { newConnection } from "@connect-domain/connection/newConnection.ts"
import type { Connection } from "@connect-domain/connection/State.ts"
import { registryKey } from "@connect-domain/domain/Hostname.ts"
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { type EdgeSettings, flagsOf } from "@connect-domain/messages/edge.ts"

type Wide = Omit<ConnectionView, "state" | "setup_type" | "created_at" | "updated_at" | "next_check_at" | "version" | "ownership_challenge">
type Challenge = ConnectionView["ownership_challenge"]

export interface ConnectionRow extends Connection {
  readonly tenant_id: string
  readonly application_id: string
  readonly environment: Wide["environment"]
  readonly kind: Wide["kind"]
  readonly setup_type: ConnectionView["setup_type"]
  readonly batch_id: string | null
  readonly metadata: Wide["metadata"]
  readonly origin: string | null
  readonly application_origin: string | null
  readonly edge: EdgeSettings
  readonly challenge: Challenge
  /** Message headers of the request that made it: its id and trace. */
  readonly made_by: Readonly<Record<string, string>> | null
  readonly revision: number
  readonly event_count: number
  readonly created_at: number
  readonly updated_at: number
}

type Instants = "entered_at" | "progress_at" | "next_check_at" | "created_at" | "updated_at"
type SqlRow = Omit<ConnectionRow, Instants | "claimed"> & { readonly claimed_hostname: string | null } & Readonly<
    Record<Instants, Date | null>
  >

export const fromSql = (sql: SqlRow): ConnectionRow => {
  const { claimed_hostname, ...rest } = sql
  return {
    ...rest,
    claimed: claimed_hostname !== null,
    entered_at: sql.entered_at!.getTime(),
    progress_at: sql.progress_at!.getTime(),
    next_check_at: sql.next_check_at?.getTime() ?? null,
    created_at: sql.created_at!.getTime(),
    updated_at: sql.updated_at!.getTime()
  }
}

const iso = (millis: number): string => new Date(millis).toISOString()
const isoOrNull = (millis: number | null): string | null => (millis === null ? null : iso(millis))

/** As `jsonb_to_recordset` reads it; see `columns`. */
export const toSql = (row: ConnectionRow): Readonly<Record<string, unknown>> => ({
  ...row,
  claimed_hostname: row.claimed ? row.hostname : null,
  entered_at: iso(row.entered_at),
  progress_at: iso(row.progress_at),
  next_check_at: isoOrNull(row.next_check_at),
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at)
})

/** Name → type; the first group is written once. */
// biome-ignore format: a table
export const fixedColumns = {
  id: "uuid", tenant_id: "uuid", application_id: "uuid", environment: "text", hostname: "text", kind: "text", setup_type: "text",
  automatic: "boolean", desired_records: "jsonb", challenge: "jsonb", made_by: "jsonb", created_at: "timestamptz"
} as const
// biome-ignore format: a table
export const changingColumns = {
  batch_id: "text", metadata: "jsonb", origin: "text", application_origin: "text", edge: "jsonb", state: "text", interrupted: "text",
  claimed_hostname: "text", attempt: "integer", open_write: "integer", step: "integer", misses: "integer", challenge_written: "boolean",
  entered_at: "timestamptz", progress_at: "timestamptz", next_check_at: "timestamptz", error_code: "text", provider: "text",
  observed_records: "jsonb", certificate: "jsonb", certificate_id: "text", revision: "integer", event_count: "integer",
  updated_at: "timestamptz"
} as const

export const toView = (row: ConnectionRow): ConnectionView => ({
  id: row.id,
  tenant_id: row.tenant_id,
  application_id: row.application_id,
  environment: row.environment,
  hostname: row.hostname,
  kind: row.kind,
  setup_type: row.setup_type,
  state: row.state,
  provider: row.provider,
  batch_id: row.batch_id,
  error_code: row.error_code,
  origin: row.origin,
  edge: row.edge,
  metadata: row.metadata,
  created_at: iso(row.created_at),
  updated_at: iso(row.updated_at),
  next_check_at: isoOrNull(row.next_check_at),
  desired_records: row.desired_records,
  observed_records: row.observed_records,
  ownership_challenge: row.challenge,
  certificate: row.certificate,
  version: row.revision
})

/** What the edges shall know of the hostname; the version is drawn when it is written. */
export const registryEntry = (row: ConnectionRow): { readonly key: string; readonly entry: Omit<HostnameEntry, "version"> } => ({
  key: registryKey(row.hostname),
  entry: {
    hostname: row.hostname,
    status: row.claimed ? "held" : "released",
    connection_id: row.id,
    tenant_id: row.tenant_id,
    application_id: row.application_id,
    claim_id: row.id,
    environment: row.environment,
    origin: row.origin ?? row.application_origin,
    certificate_id: row.claimed ? row.certificate_id : null,
    flags: row.origin === null ? { ...flagsOf(row.edge), origin: "application" } : flagsOf(row.edge)
  }
})

// biome-ignore format: a list
export type NewRow = Pick<
  ConnectionRow,
  | "id" | "tenant_id" | "application_id" | "environment" | "hostname" | "kind" | "setup_type" | "automatic" | "batch_id" | "metadata"
  | "origin" | "application_origin" | "edge" | "desired_records" | "challenge" | "made_by"
>

export const newRow = (given: NewRow, now: number): ConnectionRow => ({
  ...newConnection({ ...given, now }),
  ...given,
  revision: 1,
  event_count: 0,
  created_at: now,
  updated_at: now
})
