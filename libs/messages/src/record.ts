/**
 * DNS records and looks as they travel between services and to API callers.
 *
 * Owns: the wire form. Leaves to libs/dns: what matches what; to libs/connection: what is desired.
 */
import { DnsRecord, RecordType } from "@connect-domain/domain/DnsRecord.ts"
import { Schema } from "effect"

/** A record as it is wanted; the shape is the domain's. */
export const DesiredRecord = DnsRecord
export type DesiredRecord = typeof DesiredRecord.Type
export { RecordType }

export const ObservedRecord = Schema.Struct({
  host: Schema.String,
  type: RecordType,
  /** The intended value, so that an entry can be laid beside its desired record. */
  value: Schema.String,
  ttl: Schema.Int,
  priority: Schema.optionalKey(Schema.Int),
  propagated: Schema.Boolean,
  /** What was seen at the name instead, or as well; null when nothing stood there. */
  observed_value: Schema.NullOr(Schema.String),
  observed_at: Schema.String
})
export type ObservedRecord = typeof ObservedRecord.Type

/** `match`: every server that answers agrees and at least one answers; `mismatch`: every server answers, none matches; else `unknown`. */
export const Verdict = Schema.Literals(["match", "mismatch", "unknown"])
export type Verdict = typeof Verdict.Type

/** What one authoritative server said. `error` is set when it gave no usable answer (timeout, SERVFAIL, REFUSED …). */
export const ServerAnswer = Schema.Struct({
  server: Schema.String,
  address: Schema.NullOr(Schema.String),
  values: Schema.Array(Schema.String),
  verdict: Verdict,
  error: Schema.NullOr(Schema.String)
})
export type ServerAnswer = typeof ServerAnswer.Type

export const OwnershipLook = Schema.Struct({
  name: Schema.String,
  expected: Schema.String,
  verdict: Verdict,
  servers: Schema.Array(ServerAnswer),
  looked_at: Schema.String
})
export type OwnershipLook = typeof OwnershipLook.Type

export const RecordLook = Schema.Struct({
  host: Schema.String,
  type: RecordType,
  value: Schema.String,
  verdict: Verdict,
  observed_value: Schema.NullOr(Schema.String),
  observed_ttl: Schema.NullOr(Schema.Int),
  servers: Schema.Array(ServerAnswer),
  /** False: nothing waits for it. Absent means true. */
  required: Schema.optionalKey(Schema.Boolean)
})
export type RecordLook = typeof RecordLook.Type

export const RecordsLook = Schema.Struct({
  /** Of all required records together: `match` only when each matches, `mismatch` when one differs for sure. */
  verdict: Verdict,
  records: Schema.Array(RecordLook),
  looked_at: Schema.String
})
export type RecordsLook = typeof RecordsLook.Type

/** A credential as the gateway sealed it; only gateway and connector hold the key. Its place is part of the seal. */
export const SealedCredential = Schema.Struct({
  credential_id: Schema.String,
  tenant_id: Schema.String,
  provider: Schema.String,
  sealed: Schema.String
})
export type SealedCredential = typeof SealedCredential.Type
