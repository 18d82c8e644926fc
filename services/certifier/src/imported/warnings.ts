/**
 * When whoever uploaded a certificate is told that it ends, since nobody renews it: pure.
 *
 * Owns: the instants, as shares of its life (no number of days: a 90-day certificate is not a yearly one), and the words.
 */
import type { Lifetime } from "../planRenewal.ts"

/** Of the life left: 121, 61, 30, 15 days of a yearly certificate, 30, 15, 7 and 4 of one of 90 days; and when it has ended. */
export const warningShares = [1 / 3, 1 / 6, 1 / 12, 1 / 24, 0] as const

/** The next instant after `now`; a day later for ever once it has ended. */
export const nextWarning = ({ notBefore, notAfter }: Lifetime, now: Date): Date => {
  const life = notAfter.getTime() - notBefore.getTime()
  const at = warningShares.map((share) => notAfter.getTime() - life * share).find((each) => each > now.getTime())
  return new Date(at ?? now.getTime() + 86_400_000)
}

export const warningText = (hostname: string, notAfter: Date, now: Date): string => {
  const ended = notAfter <= now
  const when = `${notAfter.toISOString().slice(0, 16).replace("T", " ")} UTC`
  return `The certificate that was uploaded for ${hostname} ${ended ? "ended" : "ends"} on ${when} and nobody renews it. Upload its successor, or delete it: then we obtain one.`
}
