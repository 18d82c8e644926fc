/**
 * How control over a name is shown to a CA: which ways are open, in which order they are tried, and why, in a sentence: pure.
 *
 * Owns: the rules of the choice. Leaves to `Preflight.ts` the facts, to `libs/dns` what CAA says, to `findings.ts` the words when no way is
 * open. Built against: a way that can only fail (each failure counts at the CA), one that fails tried for ever while another would work,
 * and a choice that nobody can explain.
 */
import { acmePersistName } from "@connect-domain/domain/acmeNames.ts"
import { isWildcard } from "@connect-domain/domain/Hostname.ts"
import { isEdgeMethod, isMethod, labelOf, type Method } from "./methods.ts"

/** What is known of the name, whichever CA is asked. */
export interface NameFacts {
  /** Canonical; `*.x` for a wildcard. */
  readonly hostname: string
  /** Edges have a certificate to serve it with. */
  readonly served: boolean
  /** `unknown` forbids nothing. */
  readonly leads: "here" | "elsewhere" | "unknown"
  /** An edge is connected that could answer. */
  readonly edges: boolean
  /** The application has delegated a DNS credential to us. */
  readonly credential: boolean
  /** `_acme-challenge` of the name is a CNAME into our own zone. */
  readonly delegated: boolean
}

/** How a way went at this CA for this claim. */
export interface Remembered {
  readonly worked: Date | null
  readonly failed: Date | null
}

/** What is known of the CA, for this name. */
export interface CaFacts {
  /** Undefined: not seen yet. */
  readonly offers: ReadonlySet<string> | undefined
  /** Whether CAA allows this way for our account (RFC 8657 §4). */
  readonly allows: (method: Method) => boolean
  /** A TXT record stands in the DNS that this CA accepts as a lasting proof. */
  readonly persists: boolean
  readonly memory: ReadonlyMap<Method, Remembered>
}

export interface Choice {
  readonly method: Method
  readonly why: string
  /** It failed, and did not work since. */
  readonly failing: boolean
}

/** Why a way is closed. */
export type Closed = "wildcard" | "served" | "elsewhere" | "no-edge" | "no-access" | "no-record" | "not-offered" | "caa"

export interface Chosen {
  /** The first to be tried first. */
  readonly choices: ReadonlyArray<Choice>
  readonly closed: ReadonlyMap<Method, Closed>
}

const none: Remembered = { worked: null, failed: null }

/** It failed, and did not work since. */
const isFailing = ({ worked, failed }: Remembered): boolean => failed !== null && (worked === null || failed >= worked)

const closedBy = (method: Method, name: NameFacts, ca: CaFacts): Closed | undefined => {
  const wildcard = isWildcard(name.hostname)
  if (isEdgeMethod(method)) {
    if (wildcard) return "wildcard"
    if (name.leads === "elsewhere") return "elsewhere"
    if (!name.edges) return "no-edge"
  }
  if (method === "dns-01" && !name.credential && !name.delegated) return "no-access"
  if (method === "dns-persist-01" && !ca.persists) return "no-record"
  if (ca.offers !== undefined && !ca.offers.has(method)) return "not-offered"
  if (!ca.allows(method)) return "caa"
  return method === "tls-alpn-01" && name.served ? "served" : undefined
}

/** `allowed`: as set by the operator, the preferred one first. */
export const chooseMethods = (allowed: ReadonlyArray<Method>, name: NameFacts, ca: CaFacts): Chosen => {
  const remembered = (method: Method) => ca.memory.get(method) ?? none
  const closed = new Map<Method, Closed>()
  for (const method of allowed) {
    const because = closedBy(method, name, ca)
    if (because !== undefined) closed.set(method, because)
  }
  const open = allowed.filter((method) => !closed.has(method))
  // A served name is validated without TLS, unless nothing else works any more: then it is this or no certificate.
  if (closed.get("tls-alpn-01") === "served" && open.every((method) => isFailing(remembered(method)))) {
    closed.delete("tls-alpn-01")
    open.push("tls-alpn-01")
  }
  const failing = open.filter((method) => isFailing(remembered(method)))
  const ordered = [...open].sort((a, b) => rank(a, remembered(a)) - rank(b, remembered(b)))
  return {
    choices: ordered.map((method) => ({
      method,
      why: sentence(method, name, remembered(method), failing),
      failing: failing.includes(method)
    })),
    closed
  }
}

/**
 * What is worth a second order in the same attempt, once the CA did not find the answer to `failed`: ways that did not fail yet and go
 * another path. Where one edge challenge fails the other mostly does, so that one waits for the next step of the ladder.
 */
export const otherWays = (failed: string, choices: ReadonlyArray<Choice>): ReadonlyArray<Choice> =>
  choices.filter(
    ({ method, failing }) => method !== failed && !failing && !(isMethod(failed) && isEdgeMethod(failed) && isEdgeMethod(method))
  )

/** What worked, or a lasting record; then what was not tried; then what failed, the longest ago first. Equals keep the operator's order. */
const rank = (method: Method, memory: Remembered): number => {
  if (isFailing(memory)) return memory.failed!.getTime()
  return method === "dns-persist-01" || memory.worked !== null ? 1 : 2
}

const leading = ({ leads }: NameFacts): string =>
  leads === "here" ? "the name leads to our edge" : "the name is taken to lead to our edge"

const basisOf = (method: Method, name: NameFacts): string => {
  switch (method) {
    case "dns-persist-01":
      return `the lasting record at ${acmePersistName(name.hostname)} is there`
    case "http-01":
      return leading(name)
    case "tls-alpn-01":
      return name.served ? "no other challenge works for this name" : `${leading(name)} and nothing is served under it yet`
    case "dns-01": {
      const how = name.delegated ? "its _acme-challenge is delegated to us" : "the application has a DNS credential"
      if (isWildcard(name.hostname)) return `a wildcard is proven in the DNS, and ${how}`
      return name.leads === "elsewhere" ? `the name does not lead to us yet, and ${how}` : how
    }
  }
}

const sentence = (method: Method, name: NameFacts, memory: Remembered, failing: ReadonlyArray<Method>): string => {
  const said = `${labelOf(method)}: ${basisOf(method, name)}`
  if (isFailing(memory)) return `${said}; every challenge that is possible here has failed before, this one the longest ago.`
  const worked = memory.worked === null ? "" : "; it worked before"
  return `${said}${worked}${failing.length === 0 ? "" : `; ${failing.map(labelOf).join(" and ")} failed`}.`
}
