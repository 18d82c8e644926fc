/**
 * What must hold for every name of a simulation, at every issuance and at the end.
 *
 * Never without a valid certificate once it had one; never under a sixth of the life left while its CA was there (A5); one order a day at
 * most for a dead name, none while it is given up, and given up at last (A7).
 */
import type { Fleet } from "./Fleet.ts"
import { day, hour, type SimulatedAuthority, type SimulatedCertificate } from "./SimulatedAuthority.ts"
import type { SimulatedName } from "./SimulatedName.ts"

export class Broken extends Error {}

const validUntil = ({ not_after, revocation }: SimulatedCertificate): number =>
  Math.min(not_after.getTime(), revocation?.at ?? not_after.getTime())

export const checkServed = (fleet: Fleet, name: SimulatedName, now: number): void => {
  const { current, dead } = name
  if (current === undefined || (dead !== undefined && validUntil(current) > dead.from)) return
  if (validUntil(current) < now)
    throw fleet.broken(name, now, `without a valid certificate since day ${(validUntil(current) / day).toFixed(2)}`)
}

export const checkRenewal = (
  fleet: Fleet,
  name: SimulatedName,
  former: SimulatedCertificate,
  issuer: SimulatedAuthority,
  now: number
): void => {
  const life = former.not_after.getTime() - former.not_before.getTime()
  const left = (former.not_after.getTime() - now) / life
  if (name.dead !== undefined || issuer.wasDown(name.renewAt, now)) return
  fleet.leastShareLeft = Math.min(fleet.leastShareLeft, left)
  // An hour: the certificate begins an hour before it is issued.
  if (left < 1 / 6 - hour / life) throw fleet.broken(name, now, `renewed with ${(left * 100).toFixed(1)} % of the life left`)
}

/** After the ladder one order a day, and none while given up. */
export const checkDeadOrders = (fleet: Fleet, name: SimulatedName): void => {
  for (const [index, at] of name.deadOrders.entries()) {
    if (name.givenUp.some(({ from, to }) => at > from && at < to)) throw fleet.broken(name, at, "an order while given up")
    const fifth = name.deadOrders[index - 4]
    if (fifth !== undefined && at - fifth < 0.9 * day) throw fleet.broken(name, at, "more than one order a day for a dead name")
  }
}

/** A name that was dead for long before it ever lived is given up: after the week that it is given, and the day between two tries. */
export const checkGivenUp = (fleet: Fleet, name: SimulatedName, ends: number): void => {
  const { dead, created } = name
  if (dead === undefined || dead.from > created || name.givenUp.length > 0) return
  // Outages of both CAs stretch the week: nothing is refused by nobody.
  if (Math.min(dead.to, ends) - created > 16 * day) throw fleet.broken(name, ends, "dead from the beginning and never given up")
}
