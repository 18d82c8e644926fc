/**
 * A connection as services and API callers see it.
 *
 * Owns: the wire form of the connection object. Leaves to libs/connection: its life; to the gateway: which fields a list leaves out.
 */
import { Schema } from "effect"
import { EdgeSettings } from "./edge.ts"
import { DesiredRecord, ObservedRecord } from "./record.ts"

export const ConnectionState = Schema.Literals([
  "created",
  "pending_ownership",
  "verifying",
  "verified",
  "dns_writing",
  "propagating",
  "issuing_cert",
  "live",
  "drifted",
  "stalled",
  "failed",
  "archived"
])
export type ConnectionState = typeof ConnectionState.Type

export const SetupType = Schema.Literals(["automatic", "manual", "semiautomatic", "shared_login", "async", "api"])
export const Environment = Schema.Literals(["test", "live"])
export const HostnameKind = Schema.Literals(["apex", "subdomain"])

export const CertificateStatus = Schema.Literals(["none", "pending", "issued", "renewing", "failed", "expired", "revoked"])

/** Who made it: a CA that speaks ACME, our own for private networks, or the caller's own. */
export const IssuerOrigin = Schema.Literals(["acme", "internal", "imported"])

/** The certificate as the lifecycle mirrors it. `serial` is lower-case hex without separators; times are ISO 8601. */
export const CertificateMirror = Schema.Struct({
  status: CertificateStatus,
  not_before: Schema.NullOr(Schema.String),
  not_after: Schema.NullOr(Schema.String),
  ca: Schema.NullOr(Schema.String),
  serial: Schema.NullOr(Schema.String),
  /** In words that tell the customer what to do; absent while nothing is wrong. */
  last_error: Schema.optionalKey(Schema.String),
  next_attempt_at: Schema.optionalKey(Schema.String),
  /** After days of failures nothing is tried until then, unless the DNS changes or somebody asks. */
  paused_until: Schema.optionalKey(Schema.String),
  /** How the CA was shown that the name is ours (`http-01` …); null when it had a proof left, or needs none. */
  challenge: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** Why this CA and this challenge, in a sentence. */
  why: Schema.optionalKey(Schema.String),
  /** When it is renewed unless the CA says otherwise, and who said so; absent for an imported one, which nobody renews. */
  next_renewal_at: Schema.optionalKey(Schema.String),
  renewal_why: Schema.optionalKey(Schema.String),
  /** `imported`: uploaded by the caller. */
  issuer_origin: Schema.optionalKey(IssuerOrigin)
})
export type CertificateMirror = typeof CertificateMirror.Type

export const noCertificate: CertificateMirror = { status: "none", not_before: null, not_after: null, ca: null, serial: null }

export const OwnershipChallenge = Schema.Struct({ name: Schema.String, type: Schema.Literal("TXT"), value: Schema.String })

export const ConnectionView = Schema.Struct({
  id: Schema.String,
  tenant_id: Schema.String,
  application_id: Schema.String,
  environment: Environment,
  hostname: Schema.String,
  kind: HostnameKind,
  setup_type: SetupType,
  state: ConnectionState,
  provider: Schema.NullOr(Schema.String),
  batch_id: Schema.NullOr(Schema.String),
  error_code: Schema.NullOr(Schema.String),
  origin: Schema.NullOr(Schema.String),
  edge: Schema.optionalKey(EdgeSettings),
  metadata: Schema.Record(Schema.String, Schema.Json),
  created_at: Schema.String,
  updated_at: Schema.String,
  next_check_at: Schema.NullOr(Schema.String),
  desired_records: Schema.Array(DesiredRecord),
  observed_records: Schema.Array(ObservedRecord),
  ownership_challenge: OwnershipChallenge,
  certificate: CertificateMirror,
  /** Grows with every change; the API's ETag. */
  version: Schema.Int
})
export type ConnectionView = typeof ConnectionView.Type
