/**
 * Envelope encryption of values at rest (requirement P9).
 *
 * Owns: the sealed form. Each value has a data key of its own (AES-256-GCM, random 96-bit nonce, the place as additional data); the data
 * key is wrapped under a key of the ring. Leaves to `KeyRing.ts`: the keys; to the caller: where the text is stored.
 * Built against: a dump of the database, a ciphertext moved to another row or tenant, and a rotation that has to touch every plaintext.
 *
 * Form: `v1.<key id>.<wrapped data key>.<sealed value>`, the last two base64url of nonce ‖ ciphertext ‖ tag.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { Data, Result } from "effect"
import type { KeyRing } from "./KeyRing.ts"

/** Where a sealed value lives. It opens nowhere else. */
export interface Place {
  readonly tenant: string
  readonly table: string
  readonly column: string
  readonly row: string
}

/** `UnknownKey`: the ring no longer holds the key. `Refused`: altered, or moved from another place. `Malformed`: not a sealed value. */
export class SealError extends Data.TaggedError("SealError")<{ readonly reason: "UnknownKey" | "Refused" | "Malformed" }> {
  override get message() {
    return `sealed value: ${this.reason}`
  }
}

export interface Vault {
  /** A text safe to store; different at each call. */
  readonly seal: (plaintext: Uint8Array | string, place: Place) => string
  readonly open: (sealed: string, place: Place) => Result.Result<Uint8Array, SealError>
  /** As `open`, the plaintext read as UTF-8. */
  readonly openText: (sealed: string, place: Place) => Result.Result<string, SealError>
  /** The same value under the ring's first key; the plaintext stays closed. Returns the text unchanged if that key wraps it already. */
  readonly rewrap: (sealed: string) => Result.Result<string, SealError>
}

const nonceLength = 12
const tagLength = 16

const encrypt = (key: Uint8Array, plaintext: Uint8Array, additional: string): string => {
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: tagLength })
  cipher.setAAD(Buffer.from(additional))
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString("base64url")
}

const decrypt = (key: Uint8Array, text: string, additional: string): Uint8Array | undefined => {
  const bytes = Buffer.from(text, "base64url")
  if (bytes.length < nonceLength + tagLength) return undefined
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceLength), { authTagLength: tagLength })
    decipher.setAAD(Buffer.from(additional))
    decipher.setAuthTag(bytes.subarray(bytes.length - tagLength))
    return Buffer.concat([decipher.update(bytes.subarray(nonceLength, bytes.length - tagLength)), decipher.final()])
  } catch {
    return undefined
  }
}

/** JSON keeps the fields apart: no two places give one text. */
const placeText = (place: Place): string => JSON.stringify(["v1", place.tenant, place.table, place.column, place.row])
const wrapText = (keyId: string): string => `connect-domain data key v1 ${keyId}`

const form = /^v1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/

export const makeVault = (ring: KeyRing): Vault => {
  const unwrap = (sealed: string): Result.Result<{ keyId: string; dataKey: Uint8Array; body: string }, SealError> => {
    const parts = form.exec(sealed)
    if (parts === null) return Result.fail(new SealError({ reason: "Malformed" }))
    const [, keyId, wrapped, body] = parts as unknown as [string, string, string, string]
    const key = ring.keys.get(keyId)
    if (key === undefined) return Result.fail(new SealError({ reason: "UnknownKey" }))
    const dataKey = decrypt(key, wrapped, wrapText(keyId))
    return dataKey === undefined ? Result.fail(new SealError({ reason: "Refused" })) : Result.succeed({ keyId, dataKey, body })
  }
  const wrap = (dataKey: Uint8Array): string => `v1.${ring.first}.${encrypt(ring.keys.get(ring.first)!, dataKey, wrapText(ring.first))}`
  const open = (sealed: string, place: Place): Result.Result<Uint8Array, SealError> =>
    Result.flatMap(unwrap(sealed), ({ dataKey, body }) => {
      const plaintext = decrypt(dataKey, body, placeText(place))
      return plaintext === undefined ? Result.fail(new SealError({ reason: "Refused" })) : Result.succeed(new Uint8Array(plaintext))
    })
  return {
    seal: (plaintext, place) => {
      const dataKey = randomBytes(32)
      const bytes = typeof plaintext === "string" ? Buffer.from(plaintext, "utf8") : plaintext
      return `${wrap(dataKey)}.${encrypt(dataKey, bytes, placeText(place))}`
    },
    open,
    openText: (sealed, place) => Result.map(open(sealed, place), (bytes) => Buffer.from(bytes).toString("utf8")),
    rewrap: (sealed) =>
      Result.map(unwrap(sealed), ({ keyId, dataKey, body }) => (keyId === ring.first ? sealed : `${wrap(dataKey)}.${body}`))
  }
}
