/**
 * When a delivery is tried again: the published schedule, and what an answer changes about it.
 *
 * Owns: gaps, jitter, Retry-After, which answers end a delivery. Leaves to `Deliveries.ts` storing the result.
 * Built against: a receiver that comes back to a burst (jitter), and one that asks for peace and is knocked at all the same.
 */

/** Seconds between attempts; the comment is the time since the first, before jitter. Twelve attempts in all. */
export const gaps: ReadonlyArray<number> = [
  60, // 1 min
  120, // 3 min
  240, // 7 min
  480, // 15 min
  960, // 31 min
  1920, // 1 h 3 min
  3600, // 2 h 3 min
  7200, // 4 h 3 min
  18_000, // 9 h 3 min
  36_000, // 19 h 3 min
  36_000 // 29 h 3 min
]

/** The longest Retry-After that is taken at its word; beyond it a receiver would hold rows for ever. Seconds. */
export const longestRetryAfter = 86_400

/** What came of one attempt: an HTTP status, or a sentence of ours for why there is none. */
export interface AttemptResult {
  readonly status: number | undefined
  readonly error: string | undefined
  readonly latencyMs: number
  /** The raw `Retry-After` header, if the answer had one. */
  readonly retryAfter?: string | undefined
}

export type Verdict =
  | { readonly kind: "delivered" }
  /** `delaySeconds` from now, already jittered. */
  | { readonly kind: "retry"; readonly delaySeconds: number }
  | { readonly kind: "exhausted" }
  /** 410: the receiver says that this address is no more. */
  | { readonly kind: "gone" }

/** Seconds that a `Retry-After` asks for (RFC 9110 §10.2.3: delta-seconds or an HTTP date); undefined if it can't be read. */
export const retryAfterSeconds = (header: string | undefined, nowMs: number): number | undefined => {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d+$/.test(text)) return Math.min(Number(text), longestRetryAfter)
  const at = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, Math.ceil((at - nowMs) / 1000)), longestRetryAfter)
}

/**
 * What follows from an attempt.
 *
 * @param step how many gaps of the schedule were used up before this attempt (0 for the first)
 * @param random in [0, 1): spreads the gap over ± 10 %; a Retry-After is a lower bound, so it is only ever stretched
 */
export const judge = (result: AttemptResult, step: number, nowMs: number, random: number): Verdict => {
  if (result.status !== undefined && result.status >= 200 && result.status < 300) return { kind: "delivered" }
  if (result.status === 410) return { kind: "gone" }
  const gap = gaps[step]
  if (gap === undefined) return { kind: "exhausted" }
  const jittered = gap * (0.9 + 0.2 * random)
  const asked = retryAfterSeconds(result.retryAfter, nowMs)
  return { kind: "retry", delaySeconds: asked === undefined || asked <= jittered ? jittered : asked * (1 + 0.1 * random) }
}
