/**
 * Calendar months in UTC, written `YYYY-MM`, and which one a fact that arrives late belongs to.
 *
 * Built against: a month's sum that changes after it was invoiced, and clocks that differ by minutes around midnight.
 */

/** Facts older than this are counted in the current month: theirs may be invoiced. */
export const lateAfterMillis = 35 * 86_400_000
/** How far ahead of ours another machine's clock may be before its time is replaced by ours. */
export const skewMillis = 10 * 60_000

const form = /^\d{4}-(?:0[1-9]|1[0-2])$/

export const isPeriod = (text: string): boolean => form.test(text)

export const periodOf = (at: number): string => new Date(at).toISOString().slice(0, 7)

/** The month in which a fact of `occurredAt` counts when it is recorded at `now` (both milliseconds). */
export const countedPeriod = (occurredAt: number, now: number): string =>
  Number.isNaN(occurredAt) || occurredAt > now + skewMillis || occurredAt < now - lateAfterMillis ? periodOf(now) : periodOf(occurredAt)

/** The first day of a period, as SQL wants a date. */
export const firstDay = (period: string): string => `${period}-01`
