/**
 * Session-ticket keys that all processes of all edges share without exchanging any (requirement E13).
 *
 * Owns: deriving 48 bytes from EDGE_KEK and the time, a new set every eight hours, and which other sets are still accepted. In memory only. Whoever
 * has EDGE_KEK has every certificate's key anyway; a ticket dies at the latest with the period after its own. Leaves to `Contexts.ts`: using them.
 */
import { hkdfSync } from "node:crypto"
import type { KeyRing } from "@connect-domain/secrets/KeyRing.ts"

export const ticketPeriodMillis = 8 * 3_600_000
const nameBytes = 16

export interface TicketKeys {
  /** 48 bytes that tickets are sealed under from now on. */
  readonly current: Buffer
  /**
   * Those of the period before, those of the next (an edge whose clock is ahead), and those of an edge that has another key in front of its ring.
   */
  readonly accepted: ReadonlyArray<Buffer>
}

const derive = (key: Uint8Array, period: number): Buffer =>
  Buffer.from(hkdfSync("sha256", key, "", `connect-domain session tickets v1 ${period}`, 48))

/** The keys of the period that `now` (milliseconds since 1970) lies in. */
export const ticketKeysAt = (ring: KeyRing, now: number): TicketKeys => {
  const period = Math.floor(now / ticketPeriodMillis)
  const current = derive(ring.keys.get(ring.first)!, period)
  const others = [...ring.keys.values()].flatMap((key) => [derive(key, period), derive(key, period - 1), derive(key, period + 1)])
  return { current, accepted: others.filter((each) => !each.equals(current)) }
}

/** What a ticket that is sealed under these keys begins with, in hexadecimal: OpenSSL takes the first 16 bytes as the keys' name. */
export const ticketName = (keys: Buffer): string => keys.toString("hex", 0, nameBytes)
