/**
 * When whoever uploaded a certificate is told that it ends, and when a CA is asked for its successor, since nobody renews it: pure.
 *
 * Owns: the instants, as shares of its life (no number of days: a 90-day certificate is not a yearly one), and the words.
 * Built against: a site that goes dark because somebody left the company with the reminder in his calendar.
 */
import type { Lifetime } from "../planRenewal.ts"

/** Of the life left: 121 and 61 days of a yearly certificate, 30 and 15 of one of 90 days. */
export const warningShares = [1 / 3, 1 / 6] as const
/** 30 days of a yearly certificate, 7.5 of one of 90 days: enough for a CA that is away, or for a CAA record to be changed. */
export const takeOverShare = 1 / 12

const withLeft = ({ notBefore, notAfter }: Lifetime, share: number): Date =>
  new Date(notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) * share)

/** When a CA is asked for the successor that nobody uploaded. What was uploaded is served until that one is there. */
export const takeOverAt = (lifetime: Lifetime): Date => withLeft(lifetime, takeOverShare)

/** The next instant after `now` at which something is to be said; the take-over in the end. */
export const nextWarning = (lifetime: Lifetime, now: Date): Date =>
  warningShares.map((share) => withLeft(lifetime, share)).find((each) => each > now) ?? takeOverAt(lifetime)

const minuteOf = (date: Date): string => `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`

export const warningText = (hostname: string, lifetime: Lifetime): string =>
  `The certificate that was uploaded for ${hostname} ends on ${minuteOf(lifetime.notAfter)}. Upload its successor; if there is none on ${minuteOf(takeOverAt(lifetime))}, we obtain one from a certificate authority and serve that.`

/** Before the reason why there is none yet. */
export const takeOverText = (hostname: string, { notAfter }: Lifetime, now: Date): string =>
  `The certificate that was uploaded for ${hostname} ${notAfter <= now ? "ended" : "ends"} on ${minuteOf(notAfter)}, and we could not obtain its successor yet. Upload one, or:`

export const tookOver = "The certificate that was uploaded came to its end and no successor was uploaded"
