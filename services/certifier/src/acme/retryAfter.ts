/**
 * `Retry-After` (RFC 9110 §10.2.3): seconds, or an HTTP date.
 *
 * Owns: reading the header. Built against: asking a CA again before it said we may.
 */

/** Seconds to wait from `nowMillis` on, never negative; undefined when the header is absent or unreadable. */
export const readRetryAfter = (header: string | undefined, nowMillis: number): number | undefined => {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text)
  // An HTTP date starts with a day's name; Date.parse alone would also take "-5" or "2".
  if (!/^[A-Za-z]{3,9},? /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, (at - nowMillis) / 1000)
}
