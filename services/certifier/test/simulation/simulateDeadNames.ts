/**
 * Thirty days of names whose DNS never leads to us, beside as many that do (A7): half of the dead are seen by the pre-flight, half are
 * refused by the CA. No outages: nobody else is to blame.
 */
import { Broken, checkDeadOrders } from "./checks.ts"
import { Fleet } from "./Fleet.ts"
import { randomFrom } from "./random.ts"
import { day, hour, SimulatedAuthority } from "./SimulatedAuthority.ts"
import { makeName } from "./SimulatedName.ts"

export interface DeadNames {
  readonly orders: number
  /** Most orders for one name within a day, once the ladder is climbed. */
  readonly mostADay: number
  readonly ordersAfterPause: number
  readonly givenUp: number
  readonly liveIssued: number
  /** Seconds from its creation until the last living name had its certificate. */
  readonly slowestLive: number
}

const days = 30

export const simulateDeadNames = (seed: number, count: number, options: { readonly pauseAfterMillis?: number } = {}): DeadNames => {
  const random = randomFrom(seed)
  const ca = new SimulatedAuthority("only", random, { outages: [], newOrders: Number.POSITIVE_INFINITY })
  const names = Array.from({ length: 2 * count }, (_, index) =>
    makeName(index, random() * hour, index < count ? { from: 0, to: 365 * day } : undefined, index % 2 === 0)
  )
  const fleet = new Fleet({ seed, random, names, authorities: [ca], ...options })
  fleet.run(days * day)
  const [dead, live] = [names.slice(0, count), names.slice(count)]
  for (const name of dead) {
    checkDeadOrders(fleet, name)
    if (name.givenUp.length === 0) throw fleet.broken(name, days * day, "dead for a month and never given up")
  }
  if (live.some(({ current }) => current === undefined)) throw new Broken(`seed ${seed}: a living name has no certificate`)
  const afterLadder = dead.map(({ created, deadOrders }) => deadOrders.filter((at) => at > created + 3 * hour))
  return {
    orders: dead.reduce((sum, { deadOrders }) => sum + deadOrders.length, 0),
    mostADay: Math.max(...afterLadder.map((orders) => mostWithin(orders, 0.9 * day))),
    ordersAfterPause: dead.reduce((sum, { deadOrders, givenUp }) => sum + deadOrders.filter((at) => at > givenUp[0]!.from).length, 0),
    givenUp: dead.length,
    liveIssued: fleet.issued,
    slowestLive: Math.max(...live.map(({ created, current }) => (current!.not_before.getTime() + hour - created) / 1000))
  }
}

const mostWithin = (instants: ReadonlyArray<number>, span: number): number =>
  instants.reduce((most, from) => Math.max(most, instants.filter((at) => at >= from && at < from + span).length), 0)
