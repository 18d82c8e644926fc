/**
 * Name resolution that only ever gives addresses the policy lets through.
 *
 * Owns: the `lookup` function for net and tls. Leaves to `resolveName.ts`: asking. The socket connects to an address of this very answer, so a
 * name that resolves otherwise a moment later (DNS rebinding) gains nothing.
 */
import type { LookupFunction } from "node:net"
import type { AddressPolicy } from "./AddressPolicy.ts"
import { EgressError } from "./EgressError.ts"
import { inOrder } from "./reachedFamilies.ts"
import { type Resolve, resolveName } from "./resolveName.ts"

/** Drops denied addresses; none left is `Denied`. With `secure: false` only addresses on the allow-list stay. */
export const makeLookup = (policy: AddressPolicy, secure: boolean, resolve: Resolve = resolveName): LookupFunction =>
  ((hostname: string, options: { all?: boolean; family?: number | string }, done: (...answer: ReadonlyArray<unknown>) => void) => {
    resolve(hostname, (error, found) => {
      if (error !== null) return done(unresolved(error))
      const family = options.family === 4 || options.family === "IPv4" ? 4 : options.family === 6 || options.family === "IPv6" ? 6 : 0
      const fit = found.filter((entry) => isOpen(policy, secure, entry.address) && (family === 0 || entry.family === family))
      const open = inOrder(hostname, fit)
      const first = open[0]
      if (first === undefined) return done(denied(hostname))
      return options.all ? done(null, open) : done(null, first.address, first.family)
    })
  }) as LookupFunction

export const isOpen = (policy: AddressPolicy, secure: boolean, address: string): boolean => {
  const verdict = policy.check(address)
  return verdict === "opened" || (verdict === "allowed" && secure)
}

/** Whatever its code is: ECONNREFUSED of a name server's is not the origin's. */
const unresolved = (cause: NodeJS.ErrnoException): EgressError =>
  new EgressError({ reason: "Unresolved", message: cause.code ?? cause.name, cause })

export const denied = (host: string): EgressError =>
  new EgressError({ reason: "Denied", message: `${host} leads to an address that connections are not allowed to` })
