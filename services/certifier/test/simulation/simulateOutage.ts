/**
 * A CA that goes away and stays away, and what an operator's alert sees of it (A15): the least share of a life that is left, hour by hour.
 */
import { Fleet } from "./Fleet.ts"
import { randomFrom } from "./random.ts"
import { day, hour, SimulatedAuthority } from "./SimulatedAuthority.ts"
import { makeName, type SimulatedName } from "./SimulatedName.ts"

export interface Watched {
  /** The share that was left when the alert fired first; undefined: it never did. */
  readonly firedAt: number | undefined
}

const shareLeft = ({ current }: SimulatedName, now: number): number =>
  current === undefined ? 1 : (current.not_after.getTime() - now) / (current.not_after.getTime() - current.not_before.getTime())

/** `fires`: the alert's condition on the gauge; it must hold for `forHours` in a row. */
export const watchOutage = (
  seed: number,
  count: number,
  life: number,
  outage: number,
  alert: { readonly fires: (leastShareLeft: number) => boolean; readonly forHours: number }
): Watched => {
  const random = randomFrom(seed)
  const from = life * 3
  const ca = new SimulatedAuthority("only", random, {
    lives: [{ from: 0, life }],
    outages: [{ from, to: from + outage }],
    newOrders: Number.POSITIVE_INFINITY
  })
  const names = Array.from({ length: count }, (_, index) => makeName(index, random() * hour, undefined, false))
  const fleet = new Fleet({ seed, random, names, authorities: [ca] })
  let held = 0
  for (let now = day; now < from + life * 1.5; now += hour) {
    fleet.run(now)
    const least = Math.min(...names.map((name) => shareLeft(name, now)))
    held = alert.fires(least) ? held + 1 : 0
    if (held > alert.forHours) return { firedAt: least }
  }
  return { firedAt: undefined }
}
