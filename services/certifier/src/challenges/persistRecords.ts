/**
 * DNS-PERSIST-01: one TXT record, set once, that lets our account at a CA prove a name for ever (draft-ietf-acme-dns-persist): pure.
 *
 * Owns: the record's value, and which values a CA would accept. Leaves its name to `libs/domain/src/acmeNames.ts`. Two forms are in use: drafts
 * 00 and 01 name the account's URL; from 02 on a CA that publishes `accountHashPrefix` wants a hash of it. Built against: an order that
 * relies on a record which the CA then refuses, so what is malformed here in any way, or about to end, counts as absent.
 */
import { createHash } from "node:crypto"
import { baseOf, isWildcard } from "@connect-domain/domain/Hostname.ts"

/** What a CA was seen to accept, and who we are there. */
export interface PersistTerms {
  /** Names by which the CA goes in such records; none: it does not look at them. */
  readonly issuers: ReadonlyArray<string>
  /** URL of our account. */
  readonly accountUri: string
  /** Beginning of the hashed form; null: the plain URL. */
  readonly hashPrefix: string | null
  /** RFC 7638 thumbprints (SHA-256, base64url) of the account's keys, the current one last; CAs keep accepting former ones (§4.2). */
  readonly thumbprints: ReadonlyArray<string>
}

/** §4.1, 3: the length of the name, the name (or `*`), the thumbprint, the account's URL. */
const hashed = (prefix: string, name: string, thumbprint: string, accountUri: string): string => {
  const octets = Buffer.concat([Buffer.from([name.length]), Buffer.from(`${name}${thumbprint}${accountUri}`, "latin1")])
  return `${prefix}sha-256/${createHash("sha256").update(octets).digest("base64url")}`
}

/** The TXT value to offer. `policy=wildcard` stands only where a wildcard is wanted: it covers every name below as well. */
export const persistValue = (hostname: string, terms: PersistTerms): string => {
  const { hashPrefix, thumbprints, accountUri } = terms
  const account = hashPrefix === null ? accountUri : hashed(hashPrefix, baseOf(hostname), thumbprints.at(-1) ?? "", accountUri)
  return `${terms.issuers[0]}; accounturi=${account}${isWildcard(hostname) ? "; policy=wildcard" : ""}`
}

const accountForms = (hostname: string, { accountUri, hashPrefix, thumbprints }: PersistTerms): ReadonlyArray<string> =>
  hashPrefix === null
    ? [accountUri]
    : thumbprints.flatMap((thumbprint) => [baseOf(hostname), "*"].map((name) => hashed(hashPrefix, name, thumbprint, accountUri)))

/** The parameters of an issue-value (RFC 8659 §4.2), names in lower case; undefined when it is none. */
const readIssueValue = (text: string) => {
  const [issuer = "", ...rest] = text.split(";").map((part) => part.replace(/^[ \t]+|[ \t]+$/g, ""))
  const parameters = new Map<string, string>()
  for (const part of rest) {
    const match = /^([A-Za-z0-9]+)[ \t]*=[ \t]*([\x21-\x3A\x3C-\x7E]*)$/.exec(part)
    const name = match?.[1]?.toLowerCase()
    if (match === null || name === undefined || parameters.has(name)) return undefined
    parameters.set(name, match[2]!)
  }
  return issuer === "" ? undefined : { issuer: issuer.toLowerCase().replace(/\.$/, ""), parameters }
}

/** An order takes minutes at most; a record that ends within the hour is left alone. */
const marginSeconds = 3_600

/** Whether the CA of `terms` would take this TXT value as our proof for the name; `now` in milliseconds. */
export const isAccepted = (value: string, hostname: string, terms: PersistTerms, now: number): boolean => {
  const read = readIssueValue(value)
  if (read === undefined || !terms.issuers.includes(read.issuer)) return false
  const { parameters } = read
  const until = parameters.get("persistuntil")
  if (until !== undefined && !(/^\d{1,12}$/.test(until) && Number(until) > now / 1000 + marginSeconds)) return false
  if (isWildcard(hostname) && parameters.get("policy")?.toLowerCase() !== "wildcard") return false
  return accountForms(hostname, terms).includes(parameters.get("accounturi") ?? "")
}
