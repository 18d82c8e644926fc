/**
 * A year of a fleet of names in a second: two CAs with outages up to a week, lifetimes that shrink from 90 days to 160 hours, a mass
 * revocation, names whose DNS leads elsewhere. The same seed gives the same year. `checks.ts` says what must hold.
 */
import { checkDeadOrders, checkGivenUp, checkServed } from "./checks.ts"
import { Fleet } from "./Fleet.ts"
import { randomFrom } from "./random.ts"
import { day, SimulatedAuthority } from "./SimulatedAuthority.ts"
import { makeNames } from "./SimulatedName.ts"

export interface Year {
  readonly seed: number
  readonly names: number
  readonly issued: number
  readonly renewed: number
  readonly newOrders: number
  readonly revoked: number
  readonly outages: number
  readonly deadOrders: number
  readonly givenUp: number
  readonly leastShareLeft: number
  readonly busiestHour: number
  readonly digest: number
}

const ends = 365 * day

export const simulateYear = (seed: number, count: number, options: { readonly pauseAfterMillis?: number } = {}): Year => {
  const random = randomFrom(seed)
  const authorities = [new SimulatedAuthority("first", random), new SimulatedAuthority("second", random)]
  const fleet = new Fleet({ seed, random, names: makeNames(count, random), authorities, ...options })
  const revocationAt = (100 + random() * 150) * day
  fleet.run(revocationAt)
  const revoked = revokeEverything(authorities[0]!, revocationAt)
  fleet.run(ends)
  for (const name of fleet.names) {
    checkServed(fleet, name, ends)
    if (name.dead === undefined && name.current === undefined) throw fleet.broken(name, ends, "never got a certificate")
    checkDeadOrders(fleet, name)
    checkGivenUp(fleet, name, ends)
  }
  const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)
  return {
    seed,
    names: count,
    issued: fleet.issued,
    renewed: fleet.renewed,
    newOrders: sum(authorities.map(({ newOrders }) => newOrders)),
    revoked,
    outages: sum(authorities.map(({ outages }) => outages.length)),
    deadOrders: sum(fleet.names.map(({ deadOrders }) => deadOrders.length)),
    givenUp: sum(fleet.names.map(({ givenUp }) => givenUp.length)),
    leastShareLeft: fleet.leastShareLeft,
    busiestHour: fleet.busiestHour,
    digest: fleet.digest
  }
}

/** The grace is what CAs must give (24 hours), and never shorter than an outage that has just begun. */
const revokeEverything = (authority: SimulatedAuthority, now: number): number => {
  const over = authority.outages.find(({ from, to }) => from < now + 2 * day && to > now)?.to ?? now
  return authority.revokeAll(now, over - now + day)
}
