/**
 * Sealing for somebody else: whoever has the public half seals, only the holder of the private half opens.
 *
 * Owns: the sealed form and the key pair. For values that pass through a service which must not be able to open them again (a caller's
 * certificate key at the gateway). Leaves to `Vault.ts`: values at rest. Built against: one more service that holds EDGE_KEK, and a private
 * key in a message, a log of messages or a dump.
 *
 * ECIES: an ephemeral X25519 key per value, HKDF-SHA-256 over the shared secret and both public keys, AES-256-GCM with the place as
 * additional data. Form: `x1.<key id>.<ephemeral public key>.<nonce ‖ ciphertext ‖ tag>`, base64url.
 * The private half is derived from a key ring, so all replicas have the same one, and it rotates with the ring.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes
} from "node:crypto"
import { Result } from "effect"
import type { KeyRing } from "./KeyRing.ts"
import { type Place, SealError } from "./Vault.ts"

/** What a sealer needs: no secret, but it must come from the opener. */
export interface PublicHalf {
  readonly key_id: string
  /** 32 bytes, base64url. */
  readonly public_key: string
}

export interface Opener {
  /** Of the ring's first key. */
  readonly publicHalf: PublicHalf
  readonly openText: (sealed: string, place: Place) => Result.Result<string, SealError>
}

/** RFC 8410 §7: what stands before the 32 bytes of an X25519 private key in PKCS #8. */
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex")
const rawPublic = (key: KeyObject): string => createPublicKey(key).export({ format: "jwk" }).x!
const fromRaw = (x: string): KeyObject => createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" })

const derive = (ring: KeyRing, keyId: string): KeyObject | undefined => {
  const secret = ring.keys.get(keyId)
  if (secret === undefined) return undefined
  const bytes = Buffer.from(hkdfSync("sha256", secret, "", `connect-domain sealing key v1 ${keyId}`, 32))
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, bytes]), format: "der", type: "pkcs8" })
}

const contentKey = (privateKey: KeyObject, publicKey: KeyObject, ephemeral: string, recipient: string): Buffer => {
  const shared = diffieHellman({ privateKey, publicKey })
  return Buffer.from(hkdfSync("sha256", shared, "", `connect-domain seal v1 ${ephemeral} ${recipient}`, 32))
}

const additional = (keyId: string, place: Place) =>
  Buffer.from(JSON.stringify(["x1", keyId, place.tenant, place.table, place.column, place.row]))

/** Throws on a public half that is none. */
export const sealFor = (to: PublicHalf, plaintext: string, place: Place): string => {
  const { privateKey } = generateKeyPairSync("x25519")
  const ephemeral = rawPublic(privateKey)
  const nonce = randomBytes(12)
  const cipher = createCipheriv("aes-256-gcm", contentKey(privateKey, fromRaw(to.public_key), ephemeral, to.public_key), nonce)
  cipher.setAAD(additional(to.key_id, place))
  const body = Buffer.concat([nonce, cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()])
  return `x1.${to.key_id}.${ephemeral}.${body.toString("base64url")}`
}

const form = /^x1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{38,})$/

export const makeOpener = (ring: KeyRing): Opener => {
  const first = derive(ring, ring.first)!
  return {
    publicHalf: { key_id: ring.first, public_key: rawPublic(first) },
    openText: (sealed, place) => {
      const parts = form.exec(sealed)
      if (parts === null) return Result.fail(new SealError({ reason: "Malformed" }))
      const [, keyId, ephemeral, body] = parts as unknown as [string, string, string, string]
      const privateKey = derive(ring, keyId)
      if (privateKey === undefined) return Result.fail(new SealError({ reason: "UnknownKey" }))
      try {
        const bytes = Buffer.from(body, "base64url")
        const key = contentKey(privateKey, fromRaw(ephemeral), ephemeral, rawPublic(privateKey))
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12), { authTagLength: 16 })
        decipher.setAAD(additional(keyId, place))
        decipher.setAuthTag(bytes.subarray(-16))
        return Result.succeed(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString("utf8"))
      } catch {
        return Result.fail(new SealError({ reason: "Refused" }))
      }
    }
  }
}

/** Where a caller's certificate key stands on its way from the gateway to the certifier. */
export const importedKeyPlace = (connectionId: string): Place => ({
  tenant: connectionId,
  table: "certificates",
  column: "private_key",
  row: "import"
})
