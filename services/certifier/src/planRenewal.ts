/**
 * When to renew, and when to ask the CA again: pure.
 *
 * Owns: the instant. From the CA's suggested window (ARI, RFC 9773) where there is one, else from the certificate's lifetime; no number
 * of days stands here, so that 90-day and 160-hour certificates follow one rule. Leaves to `attendClaim.ts`: acting on it.
 * Built against: a herd (certificates issued in one hour must not renew in one hour), and an instant that moves each time it is computed:
 * the draw comes from the certificate's id, so replicas and restarts agree.
 */
import { hash } from "node:crypto"

export interface Lifetime {
  readonly notBefore: Date
  readonly notAfter: Date
}

export interface SuggestedWindow {
  readonly start: Date
  readonly end: Date
}

export interface Renewal {
  readonly at: Date
  readonly because: "ari" | "lifetime"
}

const shortLifeMillis = 10 * 86_400_000

/** The draws made last: each look asks twice. */
const draws = new Map<string, number>()

/** A number in [0, 1) that belongs to this certificate for ever. */
export const drawFor = (certificateId: string): number => {
  const known = draws.get(certificateId)
  if (known !== undefined) return known
  const draw = Number.parseInt(hash("sha256", certificateId, "hex").slice(0, 8), 16) / 0x1_0000_0000
  if (draws.size >= 4096) draws.clear()
  draws.set(certificateId, draw)
  return draw
}

/**
 * A third of the lifetime before the end (half, when it lives under ten days), moved earlier by up to a twelfth of the lifetime to
 * spread the load. A window from the CA replaces that; one that reaches too far is cut off with a sixth of the life left.
 */
export const planRenewal = (certificateId: string, lifetime: Lifetime, window?: SuggestedWindow): Renewal => {
  const end = lifetime.notAfter.getTime()
  const life = end - lifetime.notBefore.getTime()
  const draw = drawFor(certificateId)
  if (window !== undefined) {
    const drawn = window.start.getTime() + draw * (window.end.getTime() - window.start.getTime())
    return { at: new Date(Math.min(drawn, end - life / 6)), because: "ari" }
  }
  const left = life < shortLifeMillis ? life / 2 : life / 3
  return { at: new Date(end - left - (draw * life) / 12), because: "lifetime" }
}

/** How long a window may be believed when the CA names no time, and the longest anyhow, in seconds: at least two looks a day (A4). */
const defaultPollSeconds = 21_600
export const longestPollSeconds = 43_200

/**
 * When to ask for the window again. The CA's Retry-After counts between a minute and `maxSeconds` (RFC 9773 §4.3.3 lets a client set such
 * limits); a certificate that lives hours is asked about more often. Always earlier by up to a tenth, so that looks don't bunch.
 */
export const nextPoll = (
  now: Date,
  lifetime: Lifetime,
  options: { readonly retryAfterSeconds?: number | undefined; readonly maxSeconds?: number; readonly random: number }
): Date => {
  const life = (lifetime.notAfter.getTime() - lifetime.notBefore.getTime()) / 1000
  const longest = Math.min(options.maxSeconds ?? longestPollSeconds, longestPollSeconds, Math.max(60, life / 20))
  const wanted = Math.min(Math.max(options.retryAfterSeconds ?? defaultPollSeconds, 60), longest)
  return new Date(now.getTime() + wanted * 1000 * (1 - options.random / 10))
}
