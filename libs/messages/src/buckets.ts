/**
 * The KV buckets: the hostname registry, applications' settings, sealed certificates, challenge tokens, edges' heartbeats, leases.
 *
 * Owns: keys, values, writers and readers. Each bucket is a cache that Postgres (or time) can rebuild.
 */
import { Schema } from "effect"
import { Environment } from "./connection.ts"
import { bucket } from "./definition.ts"
import { HostnameFlags } from "./edge.ts"

const mebibyte = 1024 * 1024

/** Key `_meta` of `hostnames`, written last by a rebuild: an edge drops absent names only for an epoch that is complete. */
export const metaKey = "_meta"
export const RegistryMeta = Schema.Struct({ epoch: Schema.String, complete: Schema.Boolean, count: Schema.Int })
export type RegistryMeta = typeof RegistryMeta.Type

export const HostnameEntry = Schema.Struct({
  hostname: Schema.String,
  /** `released`: a tombstone; the name is refused from now on. */
  status: Schema.Literals(["held", "released"]),
  connection_id: Schema.String,
  tenant_id: Schema.String,
  application_id: Schema.String,
  claim_id: Schema.String,
  environment: Environment,
  origin: Schema.NullOr(Schema.String),
  certificate_id: Schema.NullOr(Schema.String),
  /** Switches of this hostname, as `HostnameFlags` in edge.ts; an unknown one is ignored. */
  flags: Schema.Record(Schema.String, Schema.Json),
  /** A Postgres sequence value: entries are put upwards only. */
  version: Schema.Int
})
export type HostnameEntry = typeof HostnameEntry.Type

/** Key: the hostname's labels reversed (`com.example.shop`), `*` as `_wildcard`; or `_meta`. */
export const hostnames = bucket({
  bucket: "hostnames",
  writers: ["lifecycle"],
  readers: ["router", "gateway", "lifecycle"],
  value: Schema.Union([HostnameEntry, RegistryMeta]),
  ttl: false,
  maxBytes: 4096 * mebibyte
})

/**
 * Key: the application's id. What holds for every hostname of an application, so that changing it is one put however many there are.
 * `flags` stand behind a hostname's own. Every application has an entry while it exists; rebuilt from Postgres.
 */
export const ApplicationEntry = Schema.Struct({
  application_id: Schema.String,
  tenant_id: Schema.String,
  /** For hostnames whose flag `origin` says `application`. */
  origin: Schema.NullOr(Schema.String),
  flags: HostnameFlags,
  /** HTML, at most 32 KiB of UTF-8, with placeholders; null for the edge's own pages. */
  error_page: Schema.NullOr(Schema.String)
})
export type ApplicationEntry = typeof ApplicationEntry.Type

export const applications = bucket({
  bucket: "applications",
  writers: ["lifecycle"],
  readers: ["router", "lifecycle"],
  value: ApplicationEntry,
  ttl: false,
  maxBytes: 1024 * mebibyte
})

/** Key: the certificate id. The key is sealed under EDGE_KEK at place {tenant: claim_id, table: "certificates", column: "key", row: id}. */
export const CertificateEntry = Schema.Struct({
  certificate_id: Schema.String,
  claim_id: Schema.String,
  hostnames: Schema.Array(Schema.String),
  /** PEM, leaf first, without the root. */
  chain: Schema.String,
  sealed_key: Schema.String,
  serial: Schema.String,
  not_before: Schema.String,
  not_after: Schema.String
})
export type CertificateEntry = typeof CertificateEntry.Type

export const certificates = bucket({
  bucket: "certificates",
  writers: ["certifier"],
  readers: ["router", "certifier"],
  value: CertificateEntry,
  ttl: false,
  maxBytes: 8192 * mebibyte
})

/** Key: the ACME token. TTL ≥ 15 min; deleted when the authorisation ends. */
export const ChallengeEntry = Schema.Struct({
  token: Schema.String,
  hostname: Schema.String,
  key_authorization: Schema.String,
  /** How it is answered; absent: `http-01`. */
  type: Schema.optionalKey(Schema.Literals(["http-01", "tls-alpn-01"])),
  /** `tls-alpn-01`: the self-signed certificate of RFC 8737 §3, PEM. */
  certificate: Schema.optionalKey(Schema.String),
  /** Its key, sealed under EDGE_KEK at place {tenant: hostname, table: "challenges", column: "key", row: token}. */
  sealed_key: Schema.optionalKey(Schema.String)
})
export type ChallengeEntry = typeof ChallengeEntry.Type

export const challenges = bucket({
  bucket: "challenges",
  writers: ["certifier"],
  readers: ["router", "certifier"],
  value: ChallengeEntry,
  ttl: true,
  maxBytes: 256 * mebibyte
})

/** Key: the edge's id. Entries expire by themselves some seconds after the last heartbeat. */
export const EdgeEntry = Schema.Struct({
  edge_id: Schema.String,
  at: Schema.String,
  /** Epoch and revision of `hostnames` that are applied, certificates included. */
  epoch: Schema.NullOr(Schema.String),
  revision: Schema.Int,
  challenges_revision: Schema.Int,
  version: Schema.String,
  hostnames: Schema.Int,
  load: Schema.Number
})
export type EdgeEntry = typeof EdgeEntry.Type

export const edges = bucket({
  bucket: "edges",
  writers: ["router"],
  readers: ["lifecycle", "certifier", "gateway"],
  value: EdgeEntry,
  ttl: true,
  maxBytes: 16 * mebibyte
})

/** Key: what is leased. Released by its holder or by time. */
export const LeaseEntry = Schema.Struct({ holder: Schema.String, deadline: Schema.String })
export type LeaseEntry = typeof LeaseEntry.Type

export const locks = bucket({
  bucket: "locks",
  writers: ["lifecycle", "connector", "certifier"],
  readers: ["lifecycle", "connector", "certifier"],
  value: LeaseEntry,
  ttl: true,
  maxBytes: 64 * mebibyte
})
