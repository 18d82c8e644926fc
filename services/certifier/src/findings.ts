/**
 * What the DNS says about an order before it is placed, in words that tell the customer what to do: pure.
 *
 * Owns: which looks forbid an order, the sentences. Leaves to `libs/dns` the rules of CAA, to `Preflight.ts` the looks.
 * Built against: an order that can only fail, and a customer who reads "caa" and does not know which record to change.
 */
import { type CaaIssuer, type CaaVerdict, evaluateCaa } from "@connect-domain/dns/caa.ts"
import { acmeChallengeName } from "@connect-domain/domain/acmeNames.ts"
import { isWildcard } from "@connect-domain/domain/Hostname.ts"
import type { CaaAnswer, lookChallenge } from "@connect-domain/messages/connector.ts"
import type { DesiredRecord, RecordsLook, SealedCredential } from "@connect-domain/messages/record.ts"
import type { Closed } from "./challenges/chooseMethods.ts"
import type { Method } from "./challenges/methods.ts"

/** What a DNS challenge could use. */
export type ChallengeView = (typeof lookChallenge)["success"]["Type"]

/** Nothing is prepared, or nobody is to use it. */
export const noChallengeView: ChallengeView = { delegated: false, cname: null, delegation_target: null, persist: [] }

/** Undefined where nobody could look. */
export interface DnsView {
  readonly caa: CaaAnswer | undefined
  readonly target: RecordsLook | undefined
  readonly challenge: ChallengeView | undefined
  /** What the application has delegated to us. */
  readonly credentials: ReadonlyArray<SealedCredential>
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
  evaluateCaa(caa?.verdict === "found" ? caa.records : [], isWildcard(hostname), issuer)

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
  const tag = isWildcard(hostname) ? "issuewild" : "issue"
  switch (told.verdict.because) {
    case "issuer":
      return `The CAA records of ${at} allow certificates from ${told.verdict.issuers.slice(0, 5).join(", ") || "nobody"} only. Add the record ${at} CAA 0 ${tag} "${name}", or remove the CAA records.`
    case "account":
      return `The CAA record of ${at} for ${name} names another account (accounturi). Add the record ${at} CAA 0 ${tag} "${name}; accounturi=${told.issuer.accountUri ?? ""}", or remove accounturi from the one that is there.`
    case "method":
      return `The CAA record of ${at} for ${name} does not allow any way in which we can prove control. Add ${told.issuer.method} to its validationmethods, or remove validationmethods.`
    case "critical":
      return `A CAA record of ${at} is marked as critical (flag 128) and no certificate authority understands it. Remove it.`
  }
}

export const caaUnclear = (caa: CaaAnswer): string =>
  `The CAA records of ${caa.at ?? "the domain"} can't be looked up (${(caa.error ?? "no answer").slice(0, 200)}), and no certificate authority issues then. Check the domain's name servers and DNSSEC; we keep trying.`

/** A wildcard can be proven in the DNS alone, and nothing there lets us. */
export const wildcardFinding = (hostname: string, challenge: ChallengeView | undefined): string => {
  const target = challenge?.delegation_target ?? null
  const record = target === null ? "" : `add the record ${acmeChallengeName(hostname)} CNAME ${target}, or `
  const there =
    challenge === undefined || challenge.cname === null || target === null || challenge.cname === target
      ? ""
      : ` At present ${acmeChallengeName(hostname)} is an alias of ${challenge.cname}.`
  return `A certificate for ${hostname} needs a proof in the DNS: ${record}add a credential of the domain's DNS provider to the application.${there} We notice by ourselves.`
}

/** No way is open for a reason that no record of the customer's changes. */
export const closedFinding = (hostname: string, closed: ReadonlyMap<Method, Closed>): string => {
  const ways = [...closed].map(([method, because]) => `${method} (${because})`).join(", ")
  return `There is no way to prove to a certificate authority that ${hostname} is yours: ${ways}. Add a DNS credential to the application, or contact support.`
}

/** What the DNS looks like, to notice a change; null when it could not be seen whole. */
export const fingerprint = ({ caa, target, challenge, credentials }: DnsView): string | null => {
  if (caa === undefined || caa.verdict === "unknown" || target?.verdict === "unknown" || challenge === undefined) return null
  const records = caa.records.map(({ flags, tag, value }) => `${flags} ${tag} ${value}`).sort()
  const places = (target?.records ?? []).map(({ host, type, verdict, observed_value }) => [host, type, verdict, observed_value])
  const access = [challenge.delegated, [...challenge.persist].sort(), credentials.map((each) => each.credential_id)]
  return JSON.stringify([caa.at, records, places, access])
}
