/**
 * The ownership challenge: where the customer's TXT record goes and what it must say.
 *
 * Owns: name and value. Leaves to lifecycle: binding a value to (tenant, hostname, connection) and never using it twice; to
 * `libs/dns`: deciding whether a look-up showed it.
 */
import { randomBytes } from "node:crypto"
import { baseOf } from "./Hostname.ts"

const challengePrefix = "_customdomain-challenge."

/** The TXT record's owner name: absolute, lower-case, without the trailing dot. A wildcard is proven at the name that it hangs on. */
export const challengeName = (hostname: string): string => `${challengePrefix}${baseOf(hostname)}`

const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

/** RFC 4648 §6, lower-case, without padding. */
export const base32 = (bytes: Uint8Array): string => {
  let text = ""
  let buffer = 0
  let bits = 0
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xffff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(buffer >>> bits) & 31]
    }
  }
  return bits > 0 ? text + alphabet[(buffer << (5 - bits)) & 31] : text
}

/** `cd-verify-` and 160 random bits as 32 characters of lower-case base32. */
export const newChallengeValue = (): string => `cd-verify-${base32(randomBytes(20))}`

export const isChallengeValue = (text: string): boolean => /^cd-verify-[a-z2-7]{32}$/.test(text)
