/**
 * A rate with a burst, and the arithmetic of how much of it is used up (GCRA, the "leaky bucket as a meter" of ITU-T I.371).
 *
 * Owns: the exact rule: in any stretch of t seconds never more than rate · t + burst, and a client that keeps to that is never refused. Leaves to
 * `RateTable.ts` and `HostUse.ts`: whose debt it is. Built against: rounding that lets a request too many through or wrongly refuses one: a request
 * costs 10⁹ units, a rate of r per second drains r · 1000 of them each microsecond, so everything is an integer below 2⁵³.
 */
export interface Rate {
  /** Units that drain in a microsecond: a thousand times the requests per second. */
  readonly drain: number
  /** Units of debt that may stand after a request. */
  readonly most: number
}

export const unitsPerRequest = 1_000_000_000
/** Larger ones would leave the exact integers; nobody needs them. */
const maxPerSecond = 1_000_000
const maxBurst = 1_000_000

/** `perSecond` down to a thousandth; `burst` in requests, at least one. Undefined when there is no limit: 0 or no number. */
export const makeRate = (perSecond: number, burst: number): Rate | undefined => {
  if (!(perSecond > 0)) return undefined
  const whole = Number.isFinite(burst) && burst >= 1 ? Math.floor(burst) : 1
  return {
    drain: Math.max(1, Math.round(Math.min(perSecond, maxPerSecond) * 1000)),
    most: Math.min(whole, maxBurst) * unitsPerRequest
  }
}

/** What is left of a debt after `micros`. */
export const debtAfter = (debt: number, micros: number, rate: Rate): number =>
  micros <= 0 ? debt : Math.max(0, debt - micros * rate.drain)

/** Microseconds until a request may come on top of this debt; 0: now. */
export const waitFor = (debt: number, rate: Rate): number => {
  const over = debt + unitsPerRequest - rate.most
  return over <= 0 ? 0 : Math.ceil(over / rate.drain)
}

/** For Retry-After: whole seconds, after which a request is surely in time (RFC 9110 §10.2.3). */
export const retrySeconds = (micros: number): number => Math.max(1, Math.ceil(micros / 1_000_000))
