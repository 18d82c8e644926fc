/** A signed ACME request as a CA reads it (RFC 8555 §6.2): a nonce of ours, once; the URL that was asked; the account's signature or the key's own. */
import { createHash, createPublicKey, verify } from "node:crypto"

export type Json = Record<string, unknown>

export interface Refusal {
  readonly status: number
  readonly retryAfter?: string
  readonly type?: string
  readonly detail?: string
}

export class Problem extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.detail)
    this.refusal = refusal
  }
}

export interface Signed {
  /** URL of the account; empty while the key itself signs. */
  readonly account: string
  readonly thumbprint: string
  readonly jwk: Json
  /** Undefined: POST-as-GET. */
  readonly payload: Json | undefined
}

const json64 = (text: string): Json => JSON.parse(Buffer.from(text, "base64url").toString() || "{}")

/** Throws `Problem`. */
export const readSigned = (url: string, body: string, nonces: Set<string>, accounts: ReadonlyMap<string, Json>): Signed => {
  const jws = JSON.parse(body) as { protected: string; payload: string; signature: string }
  const head = json64(jws.protected) as { nonce: string; url: string; kid?: string; jwk?: Json }
  if (!nonces.delete(head.nonce)) throw new Problem({ status: 400, type: "badNonce" })
  if (head.url !== url) throw new Problem({ status: 403, type: "unauthorized", detail: "the URL is another" })
  const jwk = head.jwk ?? accounts.get(head.kid ?? "")
  if (jwk === undefined) throw new Problem({ status: 400, type: "accountDoesNotExist" })
  const key = createPublicKey({ key: jwk, format: "jwk" })
  const data = Buffer.from(`${jws.protected}.${jws.payload}`)
  const signature = Buffer.from(jws.signature, "base64url")
  if (!verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, signature))
    throw new Problem({ status: 403, detail: "JWS verification error" })
  const { crv, kty, x, y } = jwk
  const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url")
  return { account: head.kid ?? "", thumbprint, jwk, payload: jws.payload === "" ? undefined : json64(jws.payload) }
}
