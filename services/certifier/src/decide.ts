/**
 * What a claim needs next, and when it needs somebody again: the scheduling core, pure, so that a year can be simulated in seconds.
 *
 * Owns: the order of needs, the deadline after a success, a look or a failure, giving up for a while. Leaves to `planRenewal.ts` and
 * `retryLadder.ts` the instants, to `attendClaim.ts` doing it.
 */
import { nextWarning, takeOverAt } from "./imported/warnings.ts"
import { isImported } from "./issuerOrigin.ts"
import { type Lifetime, nextPoll, planRenewal, type SuggestedWindow } from "./planRenewal.ts"
import { type FailureKind, retryDelay } from "./retryLadder.ts"

export interface ClaimFacts {
  readonly state: "wanted" | "held" | "released"
  readonly replace_reason: string | null
  readonly answer_owed: boolean
  /** An order has to wait, whoever asks. */
  readonly held_back: boolean
  readonly paused_until: Date | null
  readonly window_start: Date | null
  readonly window_end: Date | null
}

export interface Served {
  readonly id: string
  readonly directory: string
  readonly not_before: Date
  readonly not_after: Date
}

/**
 * `destroy`: the claim is over. `publish`: a certificate is stored but not served. `answer`: somebody wants to hear what is there. `order`: a
 * certificate is needed now. `glance`: given up for now, see whether the DNS changed. `look`: ask the CA for its window. `watch`: imported, say
 * that it will end. `wait`: nothing.
 */
export type Step = "destroy" | "publish" | "answer" | "order" | "glance" | "look" | "watch" | "wait"

export const windowOf = (claim: Pick<ClaimFacts, "window_start" | "window_end">): SuggestedWindow | undefined =>
  claim.window_start === null || claim.window_end === null ? undefined : { start: claim.window_start, end: claim.window_end }

export const lifetimeOf = (served: Pick<Served, "not_before" | "not_after">): Lifetime => ({
  notBefore: served.not_before,
  notAfter: served.not_after
})

export const nextStep = (claim: ClaimFacts, isStored: boolean, current: Served | undefined, now: Date): Step => {
  if (claim.state === "released") return "destroy"
  if (isStored) return "publish"
  if (claim.answer_owed && current !== undefined) return "answer"
  if (claim.held_back) return claim.paused_until !== null ? "glance" : "wait"
  if (current === undefined || claim.replace_reason !== null) return "order"
  // Ordered even so: served until there is one, and never left to end.
  if (isImported(current)) return takeOverAt(lifetimeOf(current)) <= now ? "order" : "watch"
  return planRenewal(current.id, lifetimeOf(current), windowOf(claim)).at <= now ? "order" : "look"
}

export interface NextLook {
  readonly now: Date
  /** Whether the CA can be asked for a window. */
  readonly hasWindow: boolean
  readonly retryAfterSeconds?: number | undefined
  readonly maxPollSeconds: number
  /** In [0, 1). */
  readonly random: number
}

/** When to renew, and when to attend to the claim again: then, or to ask for the window before. */
export const planNext = (current: Served, window: SuggestedWindow | undefined, look: NextLook) => {
  const lifetime = lifetimeOf(current)
  if (isImported(current)) {
    const at = nextWarning(lifetime, look.now)
    return { renewAt: at, renewBecause: "lifetime" as const, window: undefined, dueAt: at }
  }
  const renewal = planRenewal(current.id, lifetime, window)
  const options = { retryAfterSeconds: look.retryAfterSeconds, maxSeconds: look.maxPollSeconds, random: look.random }
  const poll = look.hasWindow ? nextPoll(look.now, lifetime, options) : renewal.at
  return { renewAt: renewal.at, renewBecause: renewal.because, window, dueAt: poll < renewal.at ? poll : renewal.at }
}

const hour = 3_600_000

/** Whether callers hear of the new plan: an hour more or less is nobody's news. */
export const isMoved = (
  before: { readonly renew_at: Date | null; readonly renew_because: string | null },
  plan: { readonly renewAt: Date; readonly renewBecause: string }
): boolean =>
  before.renew_at === null ||
  before.renew_because !== plan.renewBecause ||
  Math.abs(before.renew_at.getTime() - plan.renewAt.getTime()) > hour

/** A name that was given up is looked at this often, and tried once more after so long. Milliseconds. */
const glanceMillis = 6 * hour
const pausedMillis = 90 * 24 * hour

/** Failures that somebody outside must end; while they last a name may be given up. */
const needsSomebody = (kind: FailureKind): boolean => kind === "refused" || kind === "blocked"
/** Nothing was tried, so the ladder is not climbed. */
const wasNotTried = (kind: FailureKind): boolean => kind === "limited" || kind === "edgeless"

export interface Failing {
  readonly failures: number
  readonly failing_since: Date | null
}

export interface Attempt {
  readonly now: Date
  readonly random: number
  readonly retryAfterSeconds: number
  /** After so much time of failures that somebody must end, the name is given up for a while; never while a certificate is served. */
  readonly pauseAfterMillis: number
  readonly served: Pick<Served, "not_before" | "not_after"> | undefined
  /** It must be replaced whatever its dates: no time to lose. */
  readonly hurried: boolean
}

export interface AfterFailure {
  readonly failures: number
  readonly failingSince: Date | null
  /** No order before that. */
  readonly retryAt: Date
  /** When somebody looks at the claim again. */
  readonly dueAt: Date
  readonly pausedUntil: Date | null
}

/** So many tries of the ladder, two minutes, before a claim that is served becomes patient. */
const steadfastTries = 6
const longestPatience = 12 * hour

/**
 * How long a claim that is served can wait for a CA that is away: half of the time that is left until only a sixth of its life is, from half
 * of that to one and a half times, so that those with least time come first and a week's renewals don't all come in the hour of the CA's
 * return. Never longer than 18 hours: within a day of the return, because a CA that revokes gives no more. Milliseconds.
 */
const patience = ({ not_before, not_after }: Pick<Served, "not_before" | "not_after">, now: number, random: number): number => {
  const slack = not_after.getTime() - (not_after.getTime() - not_before.getTime()) / 6 - now
  return Math.min(Math.max(slack, 0) / 2, longestPatience) * (0.5 + random)
}

export const afterFailure = (claim: Failing, kind: FailureKind, attempt: Attempt): AfterFailure => {
  const now = attempt.now.getTime()
  const failures = claim.failures + (wasNotTried(kind) ? 0 : 1)
  const failingSince = needsSomebody(kind) ? (claim.failing_since ?? attempt.now) : claim.failing_since
  const { served } = attempt
  const isServed = served !== undefined && served.not_after > attempt.now
  const isHopeless = needsSomebody(kind) && failingSince !== null && now - failingSince.getTime() >= attempt.pauseAfterMillis
  if (isHopeless && !isServed) {
    const pausedUntil = new Date(now + pausedMillis)
    return { failures, failingSince, retryAt: pausedUntil, pausedUntil, dueAt: nextGlance(attempt.now, pausedUntil, attempt.random) }
  }
  const delay = retryDelay(kind, Math.max(failures, 1), attempt.random, attempt.retryAfterSeconds) * 1000
  const calm = kind === "unavailable" && isServed && !attempt.hurried && failures > steadfastTries
  const retryAt = new Date(now + (calm ? Math.max(delay, patience(served, now, attempt.random)) : delay))
  return { failures, failingSince, retryAt, dueAt: retryAt, pausedUntil: null }
}

export const nextGlance = (now: Date, pausedUntil: Date, random: number): Date =>
  new Date(Math.min(now.getTime() + glanceMillis * (0.9 + random * 0.2), pausedUntil.getTime()))
