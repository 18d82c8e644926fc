/**
 * Records that a customer sets once so that certificates need nothing further of him, and what follows from them.
 *
 * Owns: which of them belong to a plan, whether going live waits for them, that a live domain is never judged by them, and when a
 * certificate may be had before the domain leads to us. Leaves to the certifier: which challenge is used in the end.
 * Built against: a gap at cut-over where the DNS could prove the name beforehand, and a domain that counts as drifted, and in the end as
 * departed, because of a record that no visitor needs.
 */
import { isWildcard } from "@connect-domain/domain/Hostname.ts"
import type { DesiredRecord } from "./planRecords.ts"
import type { Connection } from "./State.ts"

export interface CertificateTarget {
  readonly hostname: string
  /** `_acme-challenge.…` and where it would lead in our own zone; null: there is none. */
  readonly delegation: { readonly host: string; readonly target: string } | null
  /** TXT values for DNS-PERSIST-01, one for each CA that accepts such records. */
  readonly persist: { readonly host: string; readonly values: ReadonlyArray<string> }
  /** The application has a DNS credential that we write with. */
  readonly credential: boolean
}

const ttl = 300
/** What the names of `libs/domain/src/acmeNames.ts` begin with. */
const labels = ["_acme-challenge.", "_validation-persist."]
const isCertificateRecord = ({ host }: { readonly host: string }): boolean => labels.some((prefix) => host.startsWith(prefix))
const isRequired = ({ required }: { readonly required?: boolean }): boolean => required !== false

/**
 * The records beside `planned`. Useful, not waited for; but a wildcard without a credential has no other way to a certificate than the
 * delegation. A name that the plan itself uses is left alone.
 */
export const certificateRecords = (planned: ReadonlyArray<DesiredRecord>, target: CertificateTarget): ReadonlyArray<DesiredRecord> => {
  const { hostname, delegation, persist, credential } = target
  const needed = isWildcard(hostname) && !credential ? {} : { required: false }
  const alias: ReadonlyArray<DesiredRecord> =
    delegation === null ? [] : [{ host: delegation.host, type: "CNAME", value: delegation.target, ttl, ...needed }]
  const lasting = persist.values.map((value): DesiredRecord => ({ host: persist.host, type: "TXT", value, ttl, required: false }))
  return [...alias, ...lasting].filter(({ host }) => !planned.some((record) => record.host === host))
}

/**
 * What a customer who leaves should remove: it would help whoever proves the name next, if that is his former vendor. We leave his DNS alone.
 */
export const leftoverRecords = ({ desired_records }: Pick<Connection, "desired_records">): ReadonlyArray<DesiredRecord> =>
  desired_records.filter(isCertificateRecord)

type Judged = Pick<Connection, "state" | "certificate_id" | "desired_records">
const isServed = ({ state }: Pick<Connection, "state">): boolean => state === "live" || state === "drifted"

/**
 * What a look is judged by: visitors' records once the domain is served, and as soon as a certificate is there, however it was proven (a
 * wildcard's lasting TXT does without the delegation). The others are shown, and never make a domain wait or drift.
 */
export const watchedRecords = (connection: Judged): ReadonlyArray<DesiredRecord> =>
  isServed(connection) || connection.certificate_id !== null
    ? connection.desired_records.map((record) => (isCertificateRecord(record) ? { ...record, required: false } : record))
    : connection.desired_records

/** The same, without what would only be shown: for looks that nobody waits for. */
export const judgedRecords = (connection: Judged): ReadonlyArray<DesiredRecord> =>
  isServed(connection) ? watchedRecords(connection).filter(isRequired) : watchedRecords(connection)

/**
 * What we write ourselves. Not the delegation: the credential proves the name without it, and as an alias `_acme-challenge.x` would be
 * taken from whoever renews a certificate of the customer's own there, such as one for `*.x`.
 */
export const writtenRecords = ({ desired_records }: Pick<Connection, "desired_records">): ReadonlyArray<DesiredRecord> =>
  desired_records.filter((record) => isRequired(record) || record.type !== "CNAME" || !isCertificateRecord(record))

/** How many of the records that going live waits for were seen. */
export const requiredSeen = (
  desired: ReadonlyArray<DesiredRecord>,
  seen: ReadonlyArray<{ readonly host: string; readonly type: string; readonly value: string; readonly propagated: boolean }>
): number =>
  seen.filter(
    (record) =>
      record.propagated &&
      desired.some((one) => one.host === record.host && one.type === record.type && one.value === record.value && isRequired(one))
  ).length

/** A certificate record stands in the DNS. */
export const certificateRecordSeen = (records: ReadonlyArray<{ readonly host: string; readonly propagated: boolean }>): boolean =>
  records.some((record) => record.propagated && isCertificateRecord(record))

/** A wildcard that no record could help: asked for at `verified`, so that its customer learns early why it can't be had. */
export const isHopeless = ({ hostname, automatic, desired_records }: Connection): boolean =>
  !automatic && isWildcard(hostname) && !desired_records.some(isCertificateRecord)

/**
 * Is a certificate to come before the records that we write ourselves? With a credential the DNS proves the name, so a site that moves is
 * never without one. No longer than the first alarm, some 15 s: then the records are written all the same.
 */
export const waitsForCertificate = ({ automatic, certificate_id, certificate }: Connection): boolean =>
  automatic && certificate_id === null && certificate.status !== "failed"

/** Of a name that does not lead here yet, and can be tried again when it does: nobody's alarm. */
export const isEarlyFailure = ({ hostname, state, interrupted }: Connection): boolean => {
  const at = interrupted ?? state
  return (at === "dns_writing" || at === "propagating") && !isWildcard(hostname)
}
