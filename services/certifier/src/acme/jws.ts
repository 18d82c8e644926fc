/**
 * Signed requests: flattened JWS with ES256 (RFC 7515, RFC 7518 §3.4), thumbprints (RFC 7638), external account binding (RFC 8555 §7.3.4).
 *
 * Owns: bytes and signatures. Leaves to `AcmeSession`: which nonce, which URL, what to do with the answer.
 * Built against: a JOSE dependency on the hot path; one certificate costs about seven signatures.
 */
import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import type { Effect } from "effect"

/** An EC P-256 public key as a JWK, its members in the order a thumbprint needs. */
export interface PublicJwk {
  readonly crv: "P-256"
  readonly kty: "EC"
  readonly x: string
  readonly y: string
}

/** An account's key with what is derived from it once. */
export interface AccountKey {
  readonly privateKey: KeyObject
  readonly jwk: PublicJwk
  readonly thumbprint: string
}

export interface Jws {
  readonly protected: string
  readonly payload: string
  readonly signature: string
}

const base64url = (data: string | Uint8Array): string => Buffer.from(data as Uint8Array).toString("base64url")

/** SHA-256 of the key's canonical JSON, base64url (RFC 7638). */
export const thumbprintOf = (jwk: PublicJwk): string =>
  createHash("sha256")
    .update(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }))
    .digest("base64url")

/** Reads an account key from PKCS #8 PEM. Throws when it is not EC P-256. */
export const readAccountKey = (pem: string): AccountKey => {
  const privateKey = createPrivateKey(pem)
  const exported = createPublicKey(privateKey).export({ format: "jwk" })
  if (exported.kty !== "EC" || exported.crv !== "P-256" || !exported.x || !exported.y) throw new Error("an account key is EC P-256")
  const jwk: PublicJwk = { crv: "P-256", kty: "EC", x: exported.x, y: exported.y }
  return { privateKey, jwk, thumbprint: thumbprintOf(jwk) }
}

/** A fresh P-256 key, PKCS #8 PEM. */
export const generateKeyPem = (): string =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString()

/** What names the signer: the account's URL once there is one, before that the key itself (RFC 8555 §6.2). */
export type Signer = {
  readonly key: AccountKey
  readonly kid?: string
  /** The CA did not take the signature: has the account another key by now? Afterwards `key` is that one. */
  readonly reread?: Effect.Effect<boolean> | undefined
}

/** Signs `payload` for `url`; undefined is POST-as-GET (an empty payload, RFC 8555 §6.3). Without a nonce: the inner JWS of keyChange. */
export const signJws = (signer: Signer, url: string, payload: unknown, nonce?: string): Jws => {
  const header = {
    alg: "ES256",
    ...(signer.kid === undefined ? { jwk: signer.key.jwk } : { kid: signer.kid }),
    ...(nonce === undefined ? {} : { nonce }),
    url
  }
  const protectedPart = base64url(JSON.stringify(header))
  const payloadPart = payload === undefined ? "" : base64url(JSON.stringify(payload))
  const signature = sign("sha256", Buffer.from(`${protectedPart}.${payloadPart}`), {
    key: signer.key.privateKey,
    dsaEncoding: "ieee-p1363"
  })
  return { protected: protectedPart, payload: payloadPart, signature: signature.toString("base64url") }
}

/** The CA's key for binding our account to a customer account there: `hmacKey` is base64url, as the CA hands it out. */
export interface ExternalAccount {
  readonly kid: string
  readonly hmacKey: string
}

/** The `externalAccountBinding` member of newAccount: our public key, signed with HS256 under the CA's key. */
export const bindExternalAccount = (external: ExternalAccount, jwk: PublicJwk, newAccountUrl: string): Jws => {
  const protectedPart = base64url(JSON.stringify({ alg: "HS256", kid: external.kid, url: newAccountUrl }))
  const payloadPart = base64url(JSON.stringify(jwk))
  const signature = createHmac("sha256", Buffer.from(external.hmacKey, "base64url"))
    .update(`${protectedPart}.${payloadPart}`)
    .digest("base64url")
  return { protected: protectedPart, payload: payloadPart, signature }
}

/** What a challenge's answer holds: `token.thumbprint` (RFC 8555 §8.1). */
export const keyAuthorization = (token: string, key: AccountKey): string => `${token}.${key.thumbprint}`
