/**
 * The form of an API key: `sk_<environment>_<id, 26><secret, 40><checksum, 7>`, base32 in lower case.
 *
 * Owns: making and reading keys. The checksum tells a mistyped or made-up key without a query (and lets scanners recognise leaked ones);
 * the id finds the row; what is stored is the SHA-256 of the whole text. Leaves to `Keys.ts`: rows. 200 random bits need no slow hash.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { crc32 } from "node:zlib"

export type KeyEnvironment = "test" | "live"

const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

const base32 = (bytes: Uint8Array): string => {
  let text = ""
  let bits = 0
  let buffer = 0
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(buffer >>> bits) & 31]
    }
  }
  return bits > 0 ? text + alphabet[(buffer << (5 - bits)) & 31] : text
}

const unbase32 = (text: string, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  let bits = 0
  let buffer = 0
  let at = 0
  for (const char of text) {
    buffer = ((buffer << 5) | alphabet.indexOf(char)) & 0xfff
    bits += 5
    if (bits >= 8 && at < length) {
      bits -= 8
      bytes[at++] = (buffer >>> bits) & 255
    }
  }
  return bytes
}

const checksum = (text: string): string => {
  const sum = crc32(text)
  return base32(new Uint8Array([sum >>> 24, (sum >>> 16) & 255, (sum >>> 8) & 255, sum & 255]))
}

const form = /^sk_(test|live)_([a-z2-7]{26})([a-z2-7]{40})([a-z2-7]{7})$/

/** A new secret for the key `id` (a UUID). */
export const makeSecret = (environment: KeyEnvironment, id: string): string => {
  const body = `sk_${environment}_${base32(Buffer.from(id.replaceAll("-", ""), "hex"))}${base32(randomBytes(25))}`
  return body + checksum(body)
}

/** The id in a well-formed secret; undefined for everything else, without any look-up. */
export const keyIdOf = (secret: string): string | undefined => {
  const parts = form.exec(secret)
  if (parts === null || checksum(secret.slice(0, -7)) !== parts[4]) return undefined
  const hex = Buffer.from(unbase32(parts[2]!, 16)).toString("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

export const hashSecret = (secret: string): Buffer => createHash("sha256").update(secret).digest()

/** Compares in constant time. */
export const matchesHash = (secret: string, sha256: Uint8Array): boolean => {
  const hash = hashSecret(secret)
  return hash.length === sha256.length && timingSafeEqual(hash, sha256)
}

export const last4 = (secret: string): string => secret.slice(-4)
