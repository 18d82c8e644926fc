/** What the connector is asked about the DNS world: looks, writes, answers to CAs' DNS challenges, credentials, detection. */
import { Schema } from "effect"
import { HostnameKind, SetupType } from "./connection.ts"
import { call, work } from "./definition.ts"
import { ApplyPurpose } from "./lifecycle.ts"
import { DesiredRecord, OwnershipLook, RecordsLook, RecordType, SealedCredential } from "./record.ts"

const ownershipQuestion = { hostname: Schema.String, name: Schema.String, value: Schema.String }
const recordsQuestion = { hostname: Schema.String, records: Schema.Array(DesiredRecord) }

/** Answered by `ownershipObserved` with the same `version`. */
export const lookOwnership = work({
  subject: "cd.work.v1.connector.observer.ownership.{connection_id}",
  from: ["lifecycle"],
  to: "connector",
  payload: Schema.Struct({ connection_id: Schema.String, version: Schema.Int, ...ownershipQuestion })
})

/** Answered by `recordsObserved` with the same `version`. */
export const lookRecords = work({
  subject: "cd.work.v1.connector.observer.records.{connection_id}",
  from: ["lifecycle"],
  to: "connector",
  payload: Schema.Struct({ connection_id: Schema.String, version: Schema.Int, ...recordsQuestion })
})

/** The same looks for a caller who waits. Error: `unavailable` when no server could be reached. */
export const observeOwnership = call({
  subject: "cd.call.v1.connector.observe-ownership",
  from: ["lifecycle"],
  to: "connector",
  timeoutMillis: 5_500,
  payload: Schema.Struct(ownershipQuestion),
  success: OwnershipLook
})
export const observeRecords = call({
  subject: "cd.call.v1.connector.observe-records",
  from: ["lifecycle", "certifier"],
  to: "connector",
  timeoutMillis: 5_500,
  payload: Schema.Struct(recordsQuestion),
  success: RecordsLook
})

export const CaaRecord = Schema.Struct({ flags: Schema.Int, tag: Schema.String, value: Schema.String })
/**
 * `found`: `records` of the name `at`, the closest upwards that has any; `none`: no name has; `unknown`: not to be learned now, `error`
 * says why, and a CA would not issue either (RFC 8659).
 */
export const CaaAnswer = Schema.Struct({
  verdict: Schema.Literals(["found", "none", "unknown"]),
  at: Schema.NullOr(Schema.String),
  records: Schema.Array(CaaRecord),
  error: Schema.NullOr(Schema.String)
})
export type CaaAnswer = typeof CaaAnswer.Type

/** The CAA records that count for a name, aliases followed. */
export const lookCaa = call({
  subject: "cd.call.v1.connector.look-caa",
  from: ["certifier"],
  to: "connector",
  timeoutMillis: 5_500,
  payload: Schema.Struct({ hostname: Schema.String }),
  success: CaaAnswer
})

/**
 * Writes (or with `cleanup` removes) exactly these record sets through the first credential whose account holds the zone.
 * Answered by `recordsApplied` with the same `version` and `purpose`. Idempotent: the plan is computed against what stands in the zone.
 */
export const applyChange = work({
  subject: "cd.work.v1.connector.zone.apply.{connection_id}",
  from: ["lifecycle"],
  to: "connector",
  payload: Schema.Struct({
    connection_id: Schema.String,
    version: Schema.Int,
    purpose: ApplyPurpose,
    hostname: Schema.String,
    records: Schema.Array(DesiredRecord),
    credentials: Schema.Array(SealedCredential),
    /** Records that stand at the planned names and may be replaced: the API's caller agreed by asking for automatic set-up. */
    replace: Schema.Boolean
  })
})

/**
 * An answer to a CA. Errors of the calls that write or remove it: `not_yet`: written, but not every authoritative server shows it, ask
 * again; `unavailable`: the provider or the servers don't answer, ask again; `invalid`: nobody can write it as things are, the message says
 * what to do.
 */
const challengeAnswer = {
  tenant_id: Schema.String,
  /** As in the order, possibly `*.x`: the answer to a wildcard stands at `_acme-challenge.x`. */
  hostname: Schema.String,
  /** The TXT value: base64url of the key authorization's SHA-256 (RFC 8555 §8.4). */
  value: Schema.String,
  /** Of the claim's application; an empty list: only a delegation can help. */
  credentials: Schema.Array(SealedCredential)
}

/**
 * Writes the value as a TXT beside what stands there: at the target of the customer's CNAME if it leads to the tenant's label in our own
 * zone, else at `_acme-challenge.<hostname>` through a credential. Answers when every authoritative server that answers shows it,
 * after 20 s at most. Idempotent. Errors: `not_yet`, `unavailable`, `invalid` (details: {code} as of a failed apply).
 */
export const presentChallenge = call({
  subject: "cd.call.v1.connector.challenge-present",
  from: ["certifier"],
  to: "connector",
  timeoutMillis: 25_000,
  payload: Schema.Struct(challengeAnswer),
  success: Schema.Struct({
    where: Schema.Literals(["credential", "delegated"]),
    /** The name that was written, and the provider that it was written through. */
    name: Schema.String,
    provider: Schema.String
  })
})

/** Removes exactly that value where it stands; success when it stands nowhere. Idempotent. Errors: `unavailable`, `invalid`. */
export const removeChallenge = call({
  subject: "cd.call.v1.connector.challenge-remove",
  from: ["certifier"],
  to: "connector",
  timeoutMillis: 15_000,
  payload: Schema.Struct(challengeAnswer),
  success: Schema.Struct({ removed: Schema.Boolean })
})

/** What a DNS challenge could use, read at the authoritative servers. Error: `unavailable` when none answers. */
export const lookChallenge = call({
  subject: "cd.call.v1.connector.challenge-look",
  from: ["certifier"],
  to: "connector",
  timeoutMillis: 5_500,
  payload: Schema.Struct({ tenant_id: Schema.String, hostname: Schema.String }),
  success: Schema.Struct({
    /** `_acme-challenge.<hostname>` leads to this tenant's label in our own zone, at every server that answers. */
    delegated: Schema.Boolean,
    /** Where the name leads, if it is an alias; the last name of the chain that could be learnt. */
    cname: Schema.NullOr(Schema.String),
    /** Where it should lead to be delegated; null when no zone of ours is set up. */
    delegation_target: Schema.NullOr(Schema.String),
    /** TXT values at `_validation-persist.<hostname>` that every server that answers shows. */
    persist: Schema.Array(Schema.String)
  })
})

/** Proves, without writing, that the credential works. Errors: `credential_refused` (message says the remedy), `unavailable`, `invalid`. */
export const testCredential = call({
  subject: "cd.call.v1.connector.test-credential",
  from: ["gateway"],
  to: "connector",
  timeoutMillis: 8_000,
  payload: Schema.Struct({ credential: SealedCredential, hostname: Schema.NullOr(Schema.String) }),
  success: Schema.Struct({ ok: Schema.Boolean, zones: Schema.NullOr(Schema.Array(Schema.String)) })
})

export const CredentialField = Schema.Struct({
  name: Schema.String,
  label: Schema.String,
  secret: Schema.Boolean,
  required: Schema.Boolean,
  example: Schema.optionalKey(Schema.String)
})
export const ProviderView = Schema.Struct({
  key: Schema.String,
  name: Schema.String,
  credential_fields: Schema.Array(CredentialField),
  capabilities: Schema.Record(Schema.String, Schema.Boolean),
  guide: Schema.String,
  logo: Schema.NullOr(Schema.String)
})
export type ProviderView = typeof ProviderView.Type

/** The providers that this connector has an actor for. */
export const listProviders = call({
  subject: "cd.call.v1.connector.providers",
  from: ["gateway"],
  to: "connector",
  payload: Schema.Struct({}),
  success: Schema.Struct({ providers: Schema.Array(ProviderView) })
})

export const Finding = Schema.Struct({
  code: Schema.String,
  severity: Schema.Literals(["info", "warning", "error"]),
  message: Schema.String
})

/** `domains:check`. Error: `unavailable` when the zone's servers can't be reached. */
export const checkDomain = call({
  subject: "cd.call.v1.connector.check-domain",
  from: ["gateway"],
  to: "connector",
  timeoutMillis: 8_000,
  payload: Schema.Struct({
    hostname: Schema.String,
    /** What would be asked for, so that conflicts with existing records can be named. */
    planned: Schema.Array(DesiredRecord),
    /** Provider keys of the application's credentials. */
    credentials: Schema.Array(Schema.String),
    /** A CA would accept a lasting TXT record (DNS-PERSIST-01); absent: not known, taken for no. */
    lasting: Schema.optionalKey(Schema.Boolean)
  }),
  success: Schema.Struct({
    hostname: Schema.String,
    apex: Schema.String,
    kind: HostnameKind,
    zone: Schema.NullOr(Schema.String),
    name_servers: Schema.Array(Schema.String),
    provider: Schema.NullOr(Schema.Struct({ key: Schema.String, name: Schema.String, detected_by: Schema.String })),
    setup_types: Schema.Array(Schema.Struct({ type: SetupType, offered: Schema.Boolean, reason: Schema.String })),
    capabilities: Schema.Record(Schema.String, Schema.Boolean),
    /** Why a capability is there or not, in a sentence, for those that need one. */
    capability_reasons: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    apex_flattening: Schema.Boolean,
    www_redirect_recommended: Schema.Boolean,
    conflicts: Schema.Array(Schema.Struct({ host: Schema.String, type: RecordType, value: Schema.String, reason: Schema.String })),
    findings: Schema.Array(Finding)
  })
})
