/**
 * May this CA issue for this name? CAA records evaluated as a CA does (RFC 8659), with accounts and methods (RFC 8657).
 *
 * Pure. Owns the rules of the relevant record set. Leaves finding that set to `lookCaa.ts`, the words to whoever tells a person.
 * Built against: reading a restriction as a permission. Whatever is malformed, or critical and not understood, forbids.
 */

export interface CaaRecord {
  readonly flags: number
  /** Lower-case. */
  readonly tag: string
  readonly value: string
}

/** Who would issue, and how. */
export interface CaaIssuer {
  /** The CA's names as they stand in CAA records (`caaIdentities` of its directory); none: it does not look at CAA. */
  readonly identities: ReadonlyArray<string>
  /** URL of our account there; undefined: not known, then records that name an account do not allow us. */
  readonly accountUri: string | undefined
  /** Validation method: `http-01` … */
  readonly method: string
}

export type CaaVerdict =
  | { readonly allowed: true }
  | {
      readonly allowed: false
      /** `issuer`: other CAs only; `account`, `method`: this CA, but not our account, not this method; `critical`: a property nobody here knows. */
      readonly because: "issuer" | "account" | "method" | "critical"
      /** The CAs that may issue, as they stand in the records. */
      readonly issuers: ReadonlyArray<string>
    }

const critical = 128
/** Property tags that this evaluation understands or may pass over: the last ones restrict no certificate for a host name. */
const known = new Set(["issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"])

/** The text form of `message.ts`: `0 issue "ca.example; accounturi=…"`. Undefined when it is none. */
export const parseCaa = (text: string): CaaRecord | undefined => {
  const match = /^(\d+) (\S+) "([\s\S]*)"$/.exec(text)
  return match === null ? undefined : { flags: Number(match[1]), tag: match[2]!.toLowerCase(), value: match[3]! }
}

interface Property {
  readonly issuer: string
  readonly parameters: ReadonlyArray<readonly [name: string, value: string]>
}

const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
const issuerPattern = new RegExp(`^${label}(?:\\.${label})*$`)
const parameterPattern = /^([A-Za-z0-9]+)[ \t]*=[ \t]*([\x21-\x3A\x3C-\x7E]*)$/

/** RFC 8659 §4.2: a value that is not of the grammar counts as an empty issuer, which allows nobody. */
const readProperty = (value: string): Property => {
  const nobody: Property = { issuer: "", parameters: [] }
  const [issuer = "", ...rest] = value.split(";").map((part) => part.replace(/^[ \t]+|[ \t]+$/g, ""))
  if (issuer !== "" && !issuerPattern.test(issuer)) return nobody
  const parameters: Array<readonly [string, string]> = []
  for (const [index, part] of rest.entries()) {
    if (part === "" && index === rest.length - 1) continue
    const match = parameterPattern.exec(part)
    if (match === null) return nobody
    parameters.push([match[1]!.toLowerCase(), match[2]!])
  }
  return { issuer: issuer.toLowerCase(), parameters }
}

/** The value of a parameter that may stand once; `never` when it stands twice (RFC 8657 §3, §4: then it can't be met). */
const single = (property: Property, name: string): string | undefined | "never" => {
  const values = property.parameters.filter(([key]) => key === name)
  return values.length > 1 ? "never" : values[0]?.[1]
}

const accountMatches = (property: Property, accountUri: string | undefined): boolean => {
  const wanted = single(property, "accounturi")
  return wanted === undefined || (accountUri !== undefined && wanted === accountUri)
}

const methodMatches = (property: Property, method: string): boolean => {
  const wanted = single(property, "validationmethods")
  return wanted === undefined || wanted.split(",").includes(method)
}

/** `records`: the relevant record set, all of one name; empty when there is none. `wildcard`: the certificate is for `*.name`. */
export const evaluateCaa = (records: ReadonlyArray<CaaRecord>, wildcard: boolean, issuer: CaaIssuer): CaaVerdict => {
  if (issuer.identities.length === 0) return { allowed: true }
  const tagged = (tag: string) => records.filter((record) => record.tag.toLowerCase() === tag)
  const wild = wildcard ? tagged("issuewild") : []
  const deciding = (wild.length > 0 ? wild : tagged("issue")).map((record) => readProperty(record.value))
  const issuers = [...new Set(deciding.map((property) => property.issuer).filter((name) => name !== ""))]
  if (records.some((record) => (record.flags & critical) !== 0 && !known.has(record.tag.toLowerCase())))
    return { allowed: false, because: "critical", issuers }
  if (deciding.length === 0) return { allowed: true }
  const names = issuer.identities.map((name) => name.toLowerCase())
  const ours = deciding.filter((property) => names.includes(property.issuer))
  if (ours.length === 0) return { allowed: false, because: "issuer", issuers }
  const account = ours.filter((property) => accountMatches(property, issuer.accountUri))
  if (account.length === 0) return { allowed: false, because: "account", issuers }
  return account.some((property) => methodMatches(property, issuer.method))
    ? { allowed: true }
    : { allowed: false, because: "method", issuers }
}

/** The names whose records may be the relevant set, the closest first: the name and its parents, the root left out (RFC 8659 §3). */
export const caaNames = (hostname: string): ReadonlyArray<string> => {
  const labels = hostname.replace(/^\*\./, "").split(".")
  return labels.map((_, at) => labels.slice(at).join("."))
}
