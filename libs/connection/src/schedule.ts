/**
 * When to look again, and when to give up.
 *
 * Owns: the cadences and limits. One table for each thing that we wait for, front-loaded: most customers finish within minutes, and those
 * who don't are not helped by a query every second. Leaves to the caller: the clock and the random number.
 * Built against: ten thousand imported names that knock in step, and a lost answer that is waited for all night.
 */
import type { Connection, StateName } from "./State.ts"

const second = 1_000
const hour = 3_600 * second
const day = 24 * hour

/** What an operator may change. */
export interface Timing {
  /** Between looks at a live domain, ± 20 %. */
  readonly live_look_seconds: number
  /** A domain that stays drifted this long has departed. */
  readonly departed_after_seconds: number
}
export const defaultTiming: Timing = { live_look_seconds: 900, departed_after_seconds: 30 * 86_400 }

/** Seconds between looks while somebody else has to act; the comment is the time elapsed since the wait began. */
export const waiting: ReadonlyArray<number> = [
  0,
  2,
  5,
  10,
  20,
  30, // 1 min: the customer is still in front of the screen
  60,
  120,
  300, // 9 min
  600,
  900,
  1800, // 1 h: negative answers cached by resolvers run out about here
  3600 // then hourly
]

/** Seconds between reminders to the certifier, which has a ladder of its own per name; this one only survives a lost message. */
export const ordering: ReadonlyArray<number> = [0, 15, 30, 60, 120, 300, 600, 900]

/** Seconds between announcements to the edges of a stored certificate; they answer within milliseconds, unless none is connected. */
export const announcing: ReadonlyArray<number> = [0, 5, 15, 30, 60, 300]

/** A question whose answer does not come is asked again, but never sooner than this. */
const answerSeconds = 15
/** After a first mismatch of a live domain: a reload of the zone is over by then. */
const secondLookSeconds = 10

export const stalledAfter = day
export const failedAfter = 7 * day

const at = (table: ReadonlyArray<number>, step: number): number => table[Math.min(step, table.length - 1)]!

/** `spread` 0.1 is ± 10 %; `random` lies in [0, 1). */
const jittered = (seconds: number, spread: number, random: number): number => Math.round(seconds * second * (1 + spread * (2 * random - 1)))

const ladder = (connection: Connection, step: number): number => {
  if (connection.state === "stalled") return 3600
  if (connection.state !== "issuing_cert") return at(waiting, step)
  return at(connection.certificate_id === null ? ordering : announcing, step)
}

/** Only these give up by themselves: a CA's failure does not make a customer's domain fail. */
const mayFail: ReadonlySet<StateName> = new Set(["pending_ownership", "verifying", "dns_writing", "propagating"])
const mayStall: ReadonlySet<StateName> = new Set([...mayFail, "issuing_cert"])

/** No progress for 24 h. */
export const isIdle = (connection: Connection, now: number): boolean =>
  mayStall.has(connection.state) && now >= connection.progress_at + stalledAfter

/** Seven days without ownership or propagation. */
export const isOverdue = (connection: Connection, now: number): boolean =>
  mayFail.has(connection.interrupted ?? connection.state) && now >= connection.progress_at + failedAfter

export const isDeparted = (connection: Connection, now: number, timing: Timing): boolean =>
  connection.state === "drifted" && now >= connection.entered_at + timing.departed_after_seconds * second

/** The next instant at which patience ends, so that an hourly look does not make a day of 24 hours one of 25. */
const patience = (connection: Connection, timing: Timing): number => {
  if (connection.state === "drifted") return connection.entered_at + timing.departed_after_seconds * second
  if (connection.state === "stalled" && connection.interrupted !== null && mayFail.has(connection.interrupted))
    return connection.progress_at + failedAfter
  return mayStall.has(connection.state) ? connection.progress_at + stalledAfter : Number.POSITIVE_INFINITY
}

const bounded = (connection: Connection, now: number, due: number, timing: Timing): number => {
  const end = patience(connection, timing)
  return end > now && end < due ? end : due
}

/** When to ask again if no answer comes. Called before `step` is counted up. */
export const afterAsking = (connection: Connection, now: number, random: number, timing: Timing): number => {
  if (connection.state === "live") return now + jittered(timing.live_look_seconds, 0.2, random)
  const seconds = ladder(connection, connection.step + 1)
  const due = connection.state === "issuing_cert" ? seconds : Math.max(answerSeconds, seconds)
  return bounded(connection, now, now + jittered(due, 0.1, random), timing)
}

/** When to look again after an answer that moved nothing. `notBefore` is a provider's Retry-After, in seconds. */
export const afterAnswer = (connection: Connection, now: number, random: number, timing: Timing, notBefore = 0): number => {
  if (connection.state === "live") {
    if (connection.misses > 0) return now + jittered(secondLookSeconds, 0.1, random)
    return connection.next_check_at ?? now + jittered(timing.live_look_seconds, 0.2, random)
  }
  const seconds = Math.max(notBefore, ladder(connection, connection.step))
  return bounded(connection, now, now + jittered(seconds, 0.1, random), timing)
}
