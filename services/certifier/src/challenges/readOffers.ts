/**
 * What a CA offers, read from one of its authorizations: pure.
 *
 * Owns: which challenges there are, and under which terms a lasting record counts. Leaves keeping it to `ChallengeMemory.ts`.
 */
import type { Directory } from "../acme/AcmeSession.ts"
import type { Account } from "../acme/accounts.ts"
import type { Authorization } from "../acme/orders.ts"
import type { Offers } from "./ChallengeMemory.ts"
import { isEdgeMethod, isMethod } from "./methods.ts"

const domainName = /^(?=.{1,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/

/** draft-ietf-acme-dns-persist §3.1: one to ten lower-case names, or the challenge is malformed. */
const issuersOf = (authorization: Authorization): ReadonlyArray<string> => {
  const challenge = authorization.challenges.find(({ type }) => type === "dns-persist-01")
  const names = challenge?.issuerDomainNames ?? challenge?.["issuer-domain-names"] ?? []
  return names.length <= 10 && names.every((name) => domainName.test(name)) ? names : []
}

/** `before`: as known up to now. Undefined: this authorization does not say, because it is settled or has been answered. */
export const readOffers = (
  before: Offers | undefined,
  authorization: Authorization,
  meta: Directory["meta"],
  account: Pick<Account, "kid" | "key">
): Offers | undefined => {
  if (authorization.status !== "pending" || authorization.challenges.some(({ status }) => status !== "pending")) return undefined
  const issuers = issuersOf(authorization)
  const offered = authorization.challenges.map(({ type }) => type).filter((type) => type !== "dns-persist-01" || issuers.length > 0)
  // A wildcard is offered DNS alone, which says nothing about other names.
  const elsewhere = (before?.methods ?? ["http-01", "tls-alpn-01"]).filter((type) => isMethod(type) && isEdgeMethod(type))
  const methods = authorization.wildcard === true ? [...elsewhere, ...offered] : offered
  return {
    methods: [...new Set(methods)].sort(),
    issuers: [...issuers].sort(),
    accountUri: account.kid,
    hashPrefix: meta?.accountHashPrefix ?? null,
    thumbprints: [account.key.thumbprint]
  }
}
