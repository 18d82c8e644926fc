/**
 * Session-ticket keys that all processes of all edges share without exchanging any (requirement E13).
 *
 * Owns: deriving 48 bytes from EDGE_KEK and the time, a new set every eight hours. In memory only. Whoever has EDGE_KEK has every certificate's key
 * anyway; a ticket dies with its period.
 */
import { hkdfSync } from "node:crypto"
import type { KeyRing } from "@connect-domain/secrets/KeyRing.ts"

export const ticketPeriodMillis = 8 * 3_600_000

/** The keys of the period that `now` (milliseconds since 1970) lies in. */
export const ticketKeysAt = (ring: KeyRing, now: number): Buffer => {
  const period = Math.floor(now / ticketPeriodMillis)
  return Buffer.from(hkdfSync("sha256", ring.keys.get(ring.first)!, "", `connect-domain session tickets v1 ${period}`, 48))
}
