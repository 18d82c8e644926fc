/**
 * How evenly renewals come: many certificates of one hour through their next cycle (A6), and a fleet whose CA comes back after a week.
 */
import { Fleet } from "./Fleet.ts"
import { randomFrom } from "./random.ts"
import { day, hour, SimulatedAuthority } from "./SimulatedAuthority.ts"
import { makeName } from "./SimulatedName.ts"

export interface Spread {
  readonly renewed: number
  readonly busiestHour: number
  /** Over the hours from the first renewal to the last. */
  readonly mean: number
  readonly ratio: number
}

const spreadOf = (perHour: ReadonlyMap<number, number>): Spread => {
  const renewed = [...perHour.values()].reduce((sum, count) => sum + count, 0)
  const hours = Math.max(...perHour.keys()) - Math.min(...perHour.keys()) + 1
  const busiestHour = Math.max(...perHour.values())
  return { renewed, busiestHour, mean: renewed / hours, ratio: busiestHour / (renewed / hours) }
}

const fleetOf = (seed: number, count: number, life: number, outages: SimulatedAuthority["outages"]) => {
  const random = randomFrom(seed)
  const ca = new SimulatedAuthority("only", random, { lives: [{ from: 0, life }], outages, newOrders: Number.POSITIVE_INFINITY })
  const names = Array.from({ length: count }, (_, index) => makeName(index, random() * hour, undefined, false))
  return new Fleet({ seed, random, names, authorities: [ca] })
}

/** A6: issued within one hour, renewed once. */
export const simulateSpread = (seed: number, count: number, life = 90 * day): Spread => {
  const fleet = fleetOf(seed, count, life, [])
  fleet.run(life * 0.8)
  return spreadOf(fleet.perHour)
}

/** Issued within one hour; the CA is away for `outage` from the middle of the renewals on. What comes after its return. */
export const simulateReturn = (seed: number, count: number, life: number, outage: number): Spread => {
  const middle = life < 10 * day ? life / 2 : (life * 2) / 3
  const to = middle + outage
  const fleet = fleetOf(seed, count, life, [{ from: middle - hour, to }])
  // Before the next generation comes.
  fleet.run(to + Math.min(3 * day, life / 4))
  return spreadOf(new Map([...fleet.perHour].filter(([slot]) => slot >= Math.floor(to / hour))))
}
