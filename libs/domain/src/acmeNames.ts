/**
 * The names that a CA looks at in a customer's DNS, and where one of them may lead to in ours.
 *
 * Owns: `_acme-challenge.` (RFC 8555 §8.4), `_validation-persist.` (draft-ietf-acme-dns-persist) and the label of a delegation. Leaves to
 * the connector: writing; to the certifier: choosing a challenge.
 *
 * A delegation is a CNAME that the customer sets once: `_acme-challenge.shop.example.com` → `<label>.<our zone>`. What keeps tenants apart:
 * - The label belongs to one tenant and one name. A write for a tenant follows a CNAME only to that tenant's label of that very name, so a
 *   CNAME to somebody else's label (they stand in the DNS for all to read) gets nothing written, and one that is left behind by a tenant
 *   who lost the name proves nothing for the next one.
 * - It is the same for `x` and `*.x`, which share the one challenge name, and for the tenant's next connection of the name: the customer
 *   sets it once.
 * - It is made from the tenant's id, which no other tenant knows, so that it can't be guessed and occupied beforehand.
 */
import { createHash } from "node:crypto"
import { base32 } from "./Challenge.ts"
import { baseOf } from "./Hostname.ts"

/** Where a DNS-01 answer is looked for; a wildcard's is that of the name that it hangs on. */
export const acmeChallengeName = (hostname: string): string => `_acme-challenge.${baseOf(hostname)}`

/** Where a lasting DNS-PERSIST-01 record is looked for. */
export const acmePersistName = (hostname: string): string => `_validation-persist.${baseOf(hostname)}`

/** 130 bits of SHA-256 as 26 characters; the first label of the CNAME's target. */
export const delegationLabel = (tenantId: string, hostname: string): string =>
  base32(
    createHash("sha256")
      .update(`acme-delegation ${tenantId} ${baseOf(hostname)}`)
      .digest()
  ).slice(0, 26)

/** The whole target, e.g. `k3…q.acme.example.net`. */
export const delegationTarget = (tenantId: string, hostname: string, zone: string): string =>
  `${delegationLabel(tenantId, hostname)}.${zone}`
