/**
 * What the DNS says about an order before it is placed, in words that tell the customer what to do: pure.
 *
 * Owns: which looks forbid an order, the sentences. Leaves to `libs/dns` the rules of CAA, to `Preflight.ts` the looks.
 * Built against: an order that can only fail, and a customer who reads "caa" and does not know which record to change.
 */
import { type CaaIssuer, type CaaVerdict, evaluateCaa } from "@connect-domain/dns/caa.ts"
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import type { DesiredRecord, RecordsLook } from "@connect-domain/messages/record.ts"

/** Both undefined where nobody could look. */
export interface DnsView {
  readonly caa: CaaAnswer | undefined
  readonly target: RecordsLook | undefined
}

/** Records that decide where the name leads. */
export const leadingRecords = (hostname: string, records: ReadonlyArray<DesiredRecord>): ReadonlyArray<DesiredRecord> =>
  records.filter(({ host, type, required }) => host === hostname && ["A", "AAAA", "CNAME", "ALIAS"].includes(type) && required !== false)

/** Undefined: the name leads to us, or nobody knows. Only a sure mismatch forbids. */
export const targetFinding = (hostname: string, target: RecordsLook | undefined): string | undefined => {
  const wrong = target?.verdict === "mismatch" ? target.records.find(({ verdict }) => verdict === "mismatch") : undefined
  if (wrong === undefined) return undefined
  const there =
    wrong.observed_value === null
      ? "there is nothing at this name"
      : `${wrong.observed_value.slice(0, 200)} stands there instead or as well`
  return `${hostname} does not lead to us, so no certificate was ordered: its ${wrong.type} record should be ${wrong.value}, but ${there}. Set the record as shown; we notice by ourselves.`
}

export const mayIssue = (hostname: string, caa: CaaAnswer | undefined, issuer: CaaIssuer): CaaVerdict =>
  evaluateCaa(caa?.verdict === "found" ? caa.records : [], hostname.startsWith("*."), issuer)

/** Why none of the CAs may issue: `refused` are their verdicts, the preferred CA first. */
export const caaFinding = (
  hostname: string,
  caa: CaaAnswer | undefined,
  refused: ReadonlyArray<{ readonly issuer: CaaIssuer; readonly verdict: CaaVerdict }>
): string | undefined => {
  const told = refused.find(({ verdict }) => !verdict.allowed && verdict.because !== "issuer") ?? refused[0]
  if (told === undefined || told.verdict.allowed) return undefined
  const name = told.issuer.identities[0] ?? ""
  const at = caa?.at ?? hostname
  const tag = hostname.startsWith("*.") ? "issuewild" : "issue"
  switch (told.verdict.because) {
    case "issuer":
      return `The CAA records of ${at} allow certificates from ${told.verdict.issuers.slice(0, 5).join(", ") || "nobody"} only. Add the record ${at} CAA 0 ${tag} "${name}", or remove the CAA records.`
    case "account":
      return `The CAA record of ${at} for ${name} names another account (accounturi). Add the record ${at} CAA 0 ${tag} "${name}; accounturi=${told.issuer.accountUri ?? ""}", or remove accounturi from the one that is there.`
    case "method":
      return `The CAA record of ${at} for ${name} does not allow the way in which we prove control. Add ${told.issuer.method} to its validationmethods, or remove validationmethods.`
    case "critical":
      return `A CAA record of ${at} is marked as critical (flag 128) and no certificate authority understands it. Remove it.`
  }
}

export const caaUnclear = (caa: CaaAnswer): string =>
  `The CAA records of ${caa.at ?? "the domain"} can't be looked up (${(caa.error ?? "no answer").slice(0, 200)}), and no certificate authority issues then. Check the domain's name servers and DNSSEC; we keep trying.`

/** What the DNS looks like, to notice a change; null when it could not be seen whole. */
export const fingerprint = ({ caa, target }: DnsView): string | null => {
  if (caa === undefined || caa.verdict === "unknown" || target?.verdict === "unknown") return null
  const records = caa.records.map(({ flags, tag, value }) => `${flags} ${tag} ${value}`).sort()
  const places = (target?.records ?? []).map(({ host, type, verdict, observed_value }) => [host, type, verdict, observed_value])
  return JSON.stringify([caa.at, records, places])
}
