/** What the lifecycle answers (calls) and what its connection actors are told (work). */
import { Schema } from "effect"
import { CertificateMirror, ConnectionView, Environment, SetupType } from "./connection.ts"
import { call, work } from "./definition.ts"
import { EdgeChange, EdgeSettings } from "./edge.ts"
import { DesiredRecord, OwnershipLook, RecordsLook, SealedCredential } from "./record.ts"

/** A record of an application's template: placeholders `{hostname} {apex} {edge}` in host and value. */
export const TemplateRecord = Schema.Struct({
  host: Schema.String,
  type: Schema.String,
  value: Schema.String,
  ttl: Schema.optionalKey(Schema.Int),
  priority: Schema.optionalKey(Schema.Int)
})
export const RecordTemplate = Schema.Struct({
  subdomain: Schema.optionalKey(Schema.Array(TemplateRecord)),
  apex: Schema.optionalKey(Schema.Array(TemplateRecord))
})
export type RecordTemplate = typeof RecordTemplate.Type

/** Errors: `HostnameConflict` (held by anybody), `invalid` (details name the field), `unavailable`. Idempotent by `connection_id`. */
export const createConnection = call({
  subject: "cd.call.v1.lifecycle.create",
  from: ["gateway"],
  to: "lifecycle",
  payload: Schema.Struct({
    connection_id: Schema.String,
    tenant_id: Schema.String,
    application_id: Schema.String,
    environment: Environment,
    /** Canonical. */
    hostname: Schema.String,
    /** Null: automatic when `credentials` is not empty, else manual. */
    setup_type: Schema.NullOr(SetupType),
    record_template: Schema.NullOr(RecordTemplate),
    /** Replaces the template when given. */
    dns_records: Schema.NullOr(Schema.Array(DesiredRecord)),
    origin: Schema.NullOr(Schema.String),
    batch_id: Schema.NullOr(Schema.String),
    metadata: Schema.Record(Schema.String, Schema.Json),
    credentials: Schema.Array(SealedCredential),
    /** The application's own origin, for the registry entry when the connection names none. */
    application_origin: Schema.NullOr(Schema.String),
    edge: Schema.optionalKey(EdgeSettings)
  }),
  success: Schema.Struct({ connection: ConnectionView })
})

/**
 * Errors: `not_found`, `precondition_failed` (expected_version differs), `invalid`, `connection_archived`, `redirect_target_not_connected`.
 */
export const updateConnection = call({
  subject: "cd.call.v1.lifecycle.update",
  from: ["gateway"],
  to: "lifecycle",
  payload: Schema.Struct({
    tenant_id: Schema.String,
    connection_id: Schema.String,
    expected_version: Schema.NullOr(Schema.Int),
    metadata: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
    origin: Schema.optionalKey(Schema.NullOr(Schema.String)),
    batch_id: Schema.optionalKey(Schema.NullOr(Schema.String)),
    /** Null takes every setting away. */
    edge: Schema.optionalKey(Schema.NullOr(EdgeChange))
  }),
  success: Schema.Struct({ connection: ConnectionView })
})

const one = Schema.Struct({ tenant_id: Schema.String, connection_id: Schema.String })

/** Idempotent. Errors: `not_found`. */
export const archiveConnection = call({
  subject: "cd.call.v1.lifecycle.archive",
  from: ["gateway"],
  to: "lifecycle",
  payload: one,
  success: Schema.Struct({ connection: ConnectionView })
})

/** Looks at once, 5 s at most. Errors: `not_found`, `ownership_not_found` (details.look), `HostnameConflict`, `unavailable`. */
export const verifyConnection = call({
  subject: "cd.call.v1.lifecycle.verify",
  from: ["gateway"],
  to: "lifecycle",
  timeoutMillis: 8_000,
  payload: one,
  success: Schema.Struct({ connection: ConnectionView })
})

/** Looks at once, 5 s at most. `eta` is an ISO time or null when nothing tells. Errors: `not_found`, `unavailable`. */
export const checkRecords = call({
  subject: "cd.call.v1.lifecycle.check-records",
  from: ["gateway"],
  to: "lifecycle",
  timeoutMillis: 8_000,
  payload: one,
  success: Schema.Struct({ connection: ConnectionView, look: RecordsLook, eta: Schema.NullOr(Schema.String) })
})

/** Starts a (re-)write through a credential. Errors: `not_found`, `no_credential`, `ownership_not_found` (nothing proven yet). */
export const applyRecords = call({
  subject: "cd.call.v1.lifecycle.apply-records",
  from: ["gateway"],
  to: "lifecycle",
  payload: one,
  success: Schema.Struct({ connection: ConnectionView })
})

/** Restores streams, buckets and open work from Postgres. Answers when `_meta` is complete. */
export const rebuild = call({
  subject: "cd.call.v1.lifecycle.rebuild",
  from: ["operator"],
  to: "lifecycle",
  timeoutMillis: 120_000,
  payload: Schema.Struct({}),
  success: Schema.Struct({ epoch: Schema.String, hostnames: Schema.Int, connections_woken: Schema.Int })
})

/** `version` is the row's look number when the look was asked for; a stale answer changes nothing. */
const answer = { connection_id: Schema.String, version: Schema.Int }

export const ownershipObserved = work({
  subject: "cd.work.v1.lifecycle.connection.ownership-observed.{connection_id}",
  from: ["connector"],
  to: "lifecycle",
  payload: Schema.Struct({ ...answer, look: OwnershipLook })
})

export const recordsObserved = work({
  subject: "cd.work.v1.lifecycle.connection.records-observed.{connection_id}",
  from: ["connector"],
  to: "lifecycle",
  payload: Schema.Struct({ ...answer, look: RecordsLook })
})

export const ApplyPurpose = Schema.Literals(["challenge", "records", "cleanup"])
export const ApplyFailure = Schema.Struct({
  /** `rate_limited`, `unavailable`: retried; the others wait for the customer. */
  code: Schema.Literals(["rate_limited", "unavailable", "access_denied", "zone_not_found", "conflict", "unsupported"]),
  message: Schema.String,
  retry_after_seconds: Schema.NullOr(Schema.Number)
})

export const recordsApplied = work({
  subject: "cd.work.v1.lifecycle.connection.records-applied.{connection_id}",
  from: ["connector"],
  to: "lifecycle",
  payload: Schema.Struct({ ...answer, purpose: ApplyPurpose, provider: Schema.NullOr(Schema.String), failure: Schema.NullOr(ApplyFailure) })
})

/** The certificate is in Postgres and in its bucket before this is sent with `issued` or `renewed`. */
export const certificateChanged = work({
  subject: "cd.work.v1.lifecycle.connection.certificate-changed.{connection_id}",
  from: ["certifier"],
  to: "lifecycle",
  payload: Schema.Struct({
    connection_id: Schema.String,
    claim_id: Schema.String,
    change: Schema.Literals(["pending", "issued", "renewing", "renewed", "failed", "destroyed"]),
    certificate_id: Schema.NullOr(Schema.String),
    certificate: CertificateMirror
  })
})

/** The application was made, changed or deleted: its entry in the bucket `applications` is written anew. */
export const applicationChanged = work({
  subject: "cd.work.v1.lifecycle.application.changed.{application_id}",
  from: ["gateway"],
  to: "lifecycle",
  payload: Schema.Struct({ application_id: Schema.String, tenant_id: Schema.String })
})
