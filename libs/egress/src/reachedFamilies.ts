/**
 * By which family of addresses a name was reached last.
 *
 * Owns: the memory of it, and its bound. Leaves to Node: trying the other family when that one fails. Built against: a name whose IPv6 leads nowhere,
 * where every new connection would first wait in vain.
 */
import type { LookupAddress } from "node:dns"

const maxNames = 4096
const families = new Map<string, number>()

/** `family`: as sockets name it; undefined when they don't know. */
export const reachedBy = (host: string, family: string | undefined): void => {
  if (family === undefined) return
  if (families.size >= maxNames && !families.has(host)) families.clear()
  families.set(host, family === "IPv6" ? 6 : 4)
}

/** The same addresses, those of that family first. */
export const inOrder = (host: string, found: ReadonlyArray<LookupAddress>): ReadonlyArray<LookupAddress> => {
  const family = families.get(host)
  if (family === undefined || found[0]?.family === family) return found
  return [...found.filter((each) => each.family === family), ...found.filter((each) => each.family !== family)]
}
