/** Connections: one host name being onboarded. Its id is the `jobId` of the widget and of webhooks. */
import { CertificateMirror, ConnectionState, HostnameKind, OwnershipChallenge, SetupType } from "@connect-domain/messages/connection.ts"
import { DesiredRecord, ObservedRecord, RecordLook } from "@connect-domain/messages/record.ts"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Access, Creates, needs, needsOrWidget, Refusals } from "./Access.ts"
import { EdgeChange, EdgeSettings } from "./edge.ts"
import { Id, Metadata, NewRecords, Reference } from "./fields.ts"
import { pageOf, pageQuery } from "./page.ts"

const summary = {
  id: Schema.String,
  application_id: Schema.String,
  hostname: Schema.String,
  kind: HostnameKind,
  setup_type: SetupType,
  state: ConnectionState,
  provider: Schema.NullOr(Schema.String),
  batch_id: Schema.NullOr(Schema.String),
  error_code: Schema.NullOr(Schema.String),
  metadata: Schema.Record(Schema.String, Schema.Json),
  created_at: Schema.String,
  updated_at: Schema.String,
  next_check_at: Schema.NullOr(Schema.String)
}

/** As a list shows it. */
export const ConnectionSummary = Schema.Struct(summary).annotate({ identifier: "ConnectionSummary" })

/** One alone: with what is wanted, what was seen, the challenge and the certificate. */
export const Connection = Schema.Struct({
  ...summary,
  origin: Schema.NullOr(Schema.String),
  edge: EdgeSettings,
  desired_records: Schema.Array(DesiredRecord),
  observed_records: Schema.Array(ObservedRecord),
  ownership_challenge: OwnershipChallenge,
  certificate: CertificateMirror
}).annotate({ identifier: "Connection" })

export const NewConnection = Schema.Struct({
  /** May be left out with a widget token, which is bound to one application. */
  application_id: Schema.optionalKey(Schema.String),
  hostname: Schema.String,
  setup_type: Schema.optionalKey(SetupType),
  dns_records: Schema.optionalKey(NewRecords),
  origin: Schema.optionalKey(Schema.NullOr(Schema.String)),
  edge: Schema.optionalKey(Schema.NullOr(EdgeChange)),
  batch_id: Schema.optionalKey(Schema.NullOr(Reference)),
  metadata: Schema.optionalKey(Metadata)
}).annotate({ identifier: "NewConnection" })

export const ConnectionChange = Schema.Struct({
  origin: Schema.optionalKey(Schema.NullOr(Schema.String)),
  edge: Schema.optionalKey(Schema.NullOr(EdgeChange)),
  batch_id: Schema.optionalKey(Schema.NullOr(Reference)),
  metadata: Schema.optionalKey(Metadata)
}).annotate({ identifier: "ConnectionChange" })

/** A certificate of the caller's own, instead of one that we obtain and renew. */
export const CertificateUpload = Schema.Struct({
  /** PEM: the certificate and its intermediates, in any order. */
  certificate: Schema.String,
  /** PEM, not encrypted: EC P-256, EC P-384, or RSA with 2048 bits or more. Never returned. */
  private_key: Schema.String
}).annotate({ identifier: "CertificateUpload" })

/** One record as it was just looked for at every authoritative server. */
export const RecordCheck = Schema.Struct({
  host: RecordLook.fields.host,
  type: RecordLook.fields.type,
  value: RecordLook.fields.value,
  propagated: Schema.Boolean,
  observed_value: RecordLook.fields.observed_value,
  verdict: RecordLook.fields.verdict,
  servers: RecordLook.fields.servers,
  required: RecordLook.fields.required
}).annotate({ identifier: "RecordCheck" })

const read = needsOrWidget("connections:read")
const write = needsOrWidget("connections:write")
const params = { id: Id }
const action = { params, payload: Schema.Struct({}).annotate({ identifier: "NoBody" }) }

export class ConnectionsApi extends HttpApiGroup.make("connections", { topLevel: true }).add(
  HttpApiEndpoint.post("createConnection", "/v1/connections", {
    payload: NewConnection,
    success: Connection.pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, write)
    .annotate(Creates, "elsewhere")
    .annotate(Refusals, ["HostnameConflict", "QuotaExceeded", "redirect_target_not_connected"]),
  HttpApiEndpoint.get("listConnections", "/v1/connections", {
    query: {
      state: Schema.optionalKey(ConnectionState),
      hostname: Schema.optionalKey(Schema.String),
      application_id: Schema.optionalKey(Schema.String),
      batch_id: Schema.optionalKey(Schema.String),
      ...pageQuery
    },
    success: pageOf(ConnectionSummary)
  }).annotate(Access, needs("connections:read")),
  HttpApiEndpoint.get("readConnection", "/v1/connections/:id", { params, success: Connection }).annotate(Access, read),
  HttpApiEndpoint.patch("updateConnection", "/v1/connections/:id", { params, payload: ConnectionChange, success: Connection })
    .annotate(Access, needs("connections:write"))
    .annotate(Refusals, ["precondition_failed", "connection_archived", "redirect_target_not_connected"]),
  HttpApiEndpoint.delete("archiveConnection", "/v1/connections/:id", { params, success: Connection }).annotate(
    Access,
    needs("connections:write")
  ),
  HttpApiEndpoint.post("verifyConnection", "/v1/connections/:id/verify", { ...action, success: Connection })
    .annotate(Access, write)
    .annotate(Refusals, ["ownership_not_found", "HostnameConflict"]),
  HttpApiEndpoint.post("checkRecords", "/v1/connections/:id/records:check", {
    ...action,
    success: Schema.Struct({ connection: Connection, records: Schema.Array(RecordCheck), eta: Schema.NullOr(Schema.String) }).annotate({
      identifier: "RecordsCheck"
    })
  }).annotate(Access, write),
  HttpApiEndpoint.post("applyRecords", "/v1/connections/:id/records:apply", { ...action, success: Connection })
    .annotate(Access, write)
    .annotate(Refusals, ["no_credential", "ownership_not_found"]),
  HttpApiEndpoint.put("importCertificate", "/v1/connections/:id/certificate", {
    params,
    payload: CertificateUpload,
    success: CertificateMirror.annotate({ identifier: "Certificate" })
  })
    .annotate(Access, needs("connections:write"))
    .annotate(Refusals, ["ownership_not_found"]),
  HttpApiEndpoint.delete("removeCertificate", "/v1/connections/:id/certificate", {
    params,
    success: CertificateMirror.annotate({ identifier: "Certificate" })
  })
    .annotate(Access, needs("connections:write"))
    .annotate(Refusals, ["ownership_not_found"])
) {}
