/**
 * The one canonicaliser of host names: API, registry, SNI, Host header, ACME and logs all use this function (requirement D6).
 *
 * Owns: what a host name is (`parseHostname`), which ones may be onboarded (`canonicalise`: public suffixes, special-use names, the
 * installation's own names), apex or sub-domain, and the registry's key. Leaves to callers: claims, and any look-up.
 * Built against: two spellings of one name reaching two tenants, a matcher that treats a name otherwise than the API did, and
 * WHATWG's host parser, which also percent-decodes, accepts IPv4 numbers of any base and maps foreign full stops.
 */
import { domainToASCII, domainToUnicode } from "node:url"
import { type Brand, Result } from "effect"
import { getDomain } from "tldts"
import { specialUse } from "./reservedNames.ts"

/** Lower-case A-labels without the trailing dot, at least one label; possibly with `*` as the first label. */
export type Hostname = string & Brand.Brand<"Hostname">

export type HostnameReason =
  | "empty"
  | "too_long"
  | "label_empty"
  | "label_too_long"
  | "character"
  | "unicode"
  | "hyphen"
  | "ip_address"
  | "wildcard"
  | "single_label"
  | "public_suffix"
  | "special_use"
  | "own_name"

/** Why a name was refused; `message` is a sentence for the person who typed it. It never repeats the input. */
export interface HostnameProblem {
  readonly reason: HostnameReason
  readonly message: string
}

export interface HostnamePolicy {
  /** The sandbox alone allows names under `.test`. */
  readonly allowTest: boolean
  /** Names of the installation (the edge's host name, its domain): they, their parents and everything below them are refused. */
  readonly ownNames: ReadonlyArray<string>
  /** Accept `*.` as the first label; default no. */
  readonly allowWildcard?: boolean
}

const problem = (reason: HostnameReason, message: string) => Result.fail<HostnameProblem>({ reason, message })

const plain = /^[a-z0-9.-]+$/
const visibleAscii = /^[\x21-\x7e]*$/
const foreignDots = /[\u3002\uff0e\uff61]/
/** Never part of a host, but WHATWG's parser would decode, strip or stop at them. */
const forbidden = /[\s\x00-\x20\x7f%_/\\?#@:[\]<>^|"'`{}~!$&()*+,;=\u00ad\u200b\u2060\ufeff]/
/** The last label decides whether WHATWG (and inet_aton) reads a number: all digits, or 0x and hex digits. */
const numericEnd = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/

/** WHATWG's parser leaves an A-label alone that does not decode, or that nothing encodes to (RFC 5890 §2.3.2.1): such a label is a fake. */
const isFakeALabel = (label: string): boolean => {
  if (!label.startsWith("xn--")) return false
  const unicode = domainToUnicode(label)
  return unicode === label || domainToASCII(unicode) !== label
}

const toAscii = (name: string): Result.Result<string, HostnameProblem> => {
  if (foreignDots.test(name)) return problem("unicode", "contains a full stop of another script; use a plain dot")
  if (forbidden.test(name)) return problem("character", "contains a character that host names don't allow")
  if (plain.test(name) && !name.includes("xn--")) return Result.succeed(name)
  if (numericEnd.test(name.normalize("NFKC").toLowerCase()))
    return problem("ip_address", "is an IP address or ends in a number; use a host name")
  const ascii = domainToASCII(name)
  if (ascii === "" || ascii.split(".").some(isFakeALabel)) return problem("unicode", "is not a valid internationalised name (UTS 46)")
  if (!plain.test(ascii)) return problem("character", "contains a character that host names don't allow")
  return Result.succeed(ascii)
}

const checkLabels = (ascii: string): Result.Result<Hostname, HostnameProblem> => {
  if (ascii.length > 253) return problem("too_long", "is longer than 253 characters")
  for (const label of ascii.split(".")) {
    if (label === "") return problem("label_empty", "has an empty label (two dots in a row, or one at the start)")
    if (label.length > 63) return problem("label_too_long", "has a label longer than 63 characters")
    if (label.startsWith("-") || label.endsWith("-")) return problem("hyphen", "has a label that starts or ends with a hyphen")
  }
  if (numericEnd.test(ascii)) return problem("ip_address", "is an IP address or ends in a number; use a host name")
  return Result.succeed(ascii as Hostname)
}

/**
 * Any spelling of a host name to its one canonical form; says nothing about whether it may be onboarded.
 * Idempotent. Strips one trailing dot. A `*` as the whole first label passes. For SNI and Host headers: strip the port first.
 */
export const parseHostname = (input: string): Result.Result<Hostname, HostnameProblem> => {
  if (input.length === 0) return problem("empty", "is empty")
  if (input.length > 1024) return problem("too_long", "is longer than 253 characters")
  const lower = visibleAscii.test(input) ? input.toLowerCase() : input
  const undotted = lower.endsWith(".") ? lower.slice(0, -1) : lower
  const wildcard = undotted.startsWith("*.")
  const name = wildcard ? undotted.slice(2) : undotted
  if (name === "") return problem("empty", "is empty")
  const ascii = toAscii(name)
  if (Result.isFailure(ascii)) return Result.fail(ascii.failure)
  // A mapped name may have gained a trailing dot of its own; the label check refuses it as an empty label.
  const checked = checkLabels(wildcard ? `w.${ascii.success}` : ascii.success)
  if (Result.isFailure(checked) || !wildcard) return checked
  return Result.succeed(`*.${ascii.success}` as Hostname)
}

/** Everything that comes after this is longer than the name: `_customdomain-challenge.` must still fit into 253 characters. */
const longestOnboarded = 253 - "_customdomain-challenge.".length

const isWithin = (name: string, parent: string): boolean => name === parent || name.endsWith(`.${parent}`)

/**
 * A name as typed to the name as stored, or the reason why it can't be onboarded (requirements D6 and D7).
 *
 * `canonicalise("Shop.Bücher.example.org.", policy)` is `shop.xn--bcher-kva.example.org`.
 */
export const canonicalise = (input: string, policy: HostnamePolicy): Result.Result<Hostname, HostnameProblem> => {
  const parsed = parseHostname(input)
  if (Result.isFailure(parsed)) return parsed
  if (isWildcard(parsed.success) && policy.allowWildcard !== true)
    return problem("wildcard", "is a wildcard; onboard one host name at a time")
  const name = baseOf(parsed.success)
  if (name.length > longestOnboarded) {
    return problem("too_long", `is longer than ${longestOnboarded} characters, which leaves no room for the ownership record's name`)
  }
  // CA/Browser Forum baseline requirements 7.1.2.7.12: no certificate for reserved LDH labels other than A-labels.
  if (name.split(".").some((label) => label.slice(2, 4) === "--" && !label.startsWith("xn--"))) {
    return problem("hyphen", "has a label with hyphens in its third and fourth place, for which no certificate is issued")
  }
  return checkReserved(parsed.success, name, policy)
}

const checkReserved = (hostname: Hostname, name: string, policy: HostnamePolicy): Result.Result<Hostname, HostnameProblem> => {
  const end = name.slice(name.lastIndexOf(".") + 1)
  if (specialUse.has(end) && !(end === "test" && policy.allowTest)) {
    return problem("special_use", `ends in .${end}, which is reserved (${specialUse.get(end)})`)
  }
  if (!name.includes(".")) return problem("single_label", "has a single label; use a full host name such as shop.example.com")
  if (apexOf(name) === undefined) return problem("public_suffix", "is a public suffix, under which others register their names")
  // Where the list has a rule such as *.compute.amazonaws.com, every name that the wildcard would cover is a public suffix.
  if (hostname !== name && apexOf(`cd-any.${name}`) === undefined) {
    return problem("public_suffix", "covers public suffixes, under which others register their names")
  }
  for (const own of policy.ownNames) {
    if (isWithin(name, own) || isWithin(own, name)) return problem("own_name", "belongs to this service itself")
  }
  return Result.succeed(hostname)
}

/** Of a canonical name. */
export const isWildcard = (hostname: string): boolean => hostname.startsWith("*.")

/** The name that a wildcard hangs on, where it is proven: `*.x` → `x`; any other name is its own. */
export const baseOf = (hostname: string): string => (isWildcard(hostname) ? hostname.slice(2) : hostname)

/** The registrable domain of a canonical name (public suffix list with its private section); undefined for a public suffix itself. */
export const apexOf = (hostname: string): string | undefined =>
  getDomain(baseOf(hostname), { allowPrivateDomains: true, validateHostname: false }) ?? undefined

/** `apex` when the name is its own registrable domain, where a CNAME can't stand beside SOA and NS (RFC 1034 §3.6.2). */
export const kindOf = (hostname: string): "apex" | "subdomain" => (apexOf(hostname) === hostname ? "apex" : "subdomain")

/** The registry's key: labels reversed, so that a domain's names lie together; `*` is not a key character and becomes `_wildcard`. */
export const registryKey = (hostname: string): string =>
  hostname
    .split(".")
    .map((label) => (label === "*" ? "_wildcard" : label))
    .reverse()
    .join(".")

/** The host name of a registry key; undefined for keys that are none, such as `_meta`. */
export const fromRegistryKey = (key: string): Hostname | undefined => {
  const labels = key.split(".").reverse()
  if (labels[0] === "_wildcard") labels[0] = "*"
  const parsed = parseHostname(labels.join("."))
  return Result.isSuccess(parsed) ? parsed.success : undefined
}
