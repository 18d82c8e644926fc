/** A name of the simulation: its claim's facts as the certifier keeps them, its DNS, and what happened to it. */
import type { Random } from "./random.ts"
import { day, hour, type SimulatedCertificate } from "./SimulatedAuthority.ts"

export interface SimulatedName {
  readonly index: number
  readonly created: number
  /** From here on its DNS leads elsewhere, until it is put right. */
  readonly dead: { readonly from: number; readonly to: number } | undefined
  /** Whether the pre-flight sees that; else the CA refuses. */
  readonly seen: boolean
  facts: {
    state: "wanted" | "held"
    replace_reason: null
    answer_owed: false
    paused_until: Date | null
    window_start: Date | null
    window_end: Date | null
  }
  failures: number
  failing_since: Date | null
  retryAt: number
  renewAt: number
  pausedView: boolean
  current: SimulatedCertificate | undefined
  /** Orders that its DNS made fail. */
  readonly deadOrders: Array<number>
  readonly givenUp: Array<{ readonly from: number; to: number }>
}

export const makeName = (index: number, created: number, dead: SimulatedName["dead"], seen: boolean): SimulatedName => ({
  index,
  created,
  dead,
  seen,
  facts: { state: "wanted", replace_reason: null, answer_owed: false, paused_until: null, window_start: null, window_end: null },
  failures: 0,
  failing_since: null,
  retryAt: 0,
  renewAt: 0,
  pausedView: false,
  current: undefined,
  deadOrders: [],
  givenUp: []
})

export const isDead = ({ dead }: SimulatedName, now: number): boolean => dead !== undefined && now >= dead.from && now < dead.to

/** All of them within an hour: the worst that can happen to the spread. Three in a hundred die, half of those before they ever lived. */
export const makeNames = (count: number, random: Random): ReadonlyArray<SimulatedName> =>
  Array.from({ length: count }, (_, index) => {
    const created = random() * hour
    const from = (1 + random() * 300) * day
    const dead = random() < 0.03 ? { from: random() < 0.5 ? 0 : from, to: from + random() * 200 * day } : undefined
    return makeName(index, created, dead, random() < 0.5)
  })
