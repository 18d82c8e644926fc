/**
 * NATS user keys (nkeys): an Ed25519 key pair in NATS's text form.
 *
 * Owns: making a user's seed and deriving its public key. Leaves to libs/nats: signing with it.
 * Form: base32 without padding of prefix byte(s), 32 bytes of key, CRC-16/XMODEM little-endian (nats-io/nkeys, `strkey`).
 */
import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto"

const seedPrefix = 18 << 3
const userPrefix = 20 << 3
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

const crc16 = (bytes: Uint8Array): number => {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc
}

const encode = (bytes: Uint8Array): string => {
  const crc = crc16(bytes)
  let text = ""
  let held = 0
  let bits = 0
  for (const byte of [...bytes, crc & 0xff, crc >> 8]) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(held >> bits) & 31]
    }
    held &= (1 << bits) - 1
  }
  return bits > 0 ? text + alphabet[(held << (5 - bits)) & 31] : text
}

const decode = (text: string): Uint8Array => {
  const bytes: Array<number> = []
  let held = 0
  let bits = 0
  for (const letter of text) {
    held = (held << 5) | alphabet.indexOf(letter)
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((held >> bits) & 0xff)
    }
    held &= (1 << bits) - 1
  }
  return Uint8Array.from(bytes)
}

/** `SU…`, 58 characters: a secret. */
export const newUserSeed = (): string =>
  encode(Uint8Array.from([seedPrefix | (userPrefix >> 5), (userPrefix & 31) << 3, ...randomBytes(32)]))

/** `U…`, 56 characters: what the server's configuration names. */
export const publicKeyOf = (seed: string): string => {
  const raw = decode(seed).slice(2, 34)
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), raw])
  const spki = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })).export({ format: "der", type: "spki" })
  return encode(Uint8Array.from([userPrefix, ...spki.subarray(-32)]))
}
