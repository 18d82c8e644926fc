/**
 * What proves to a receiver that a delivery is ours: the X-CD headers and, beside them, those of Standard Webhooks.
 *
 * Owns: secrets' form and the bytes that are signed. Leaves to `Secrets.ts` which secrets are live, to `deliver.ts` when to sign
 * (at each attempt: the timestamp is part of what is signed, and receivers reject it after five minutes).
 * Built against: verifiers that fail on a byte (the body is signed exactly as sent) and rotations that lock a receiver out.
 */
import { createHmac, randomBytes } from "node:crypto"

/** A new signing secret: `whsec_` + base64 of 256 random bits. */
export const newSecret = (): string => `whsec_${randomBytes(32).toString("base64")}`

/** X-CD: lower-case hex HMAC-SHA256 over `<timestamp>.<body>`, keyed by the UTF-8 bytes of the whole secret string. */
export const signConnectDomain = (secret: string, timestamp: number, body: string): string =>
  `sha256=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`

/** Standard Webhooks (standardwebhooks.com, v1): base64 HMAC-SHA256 over `<id>.<timestamp>.<body>`, keyed by the decoded part. */
export const signStandard = (secret: string, id: string, timestamp: number, body: string): string => {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64")
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`
}

export interface Signed {
  /** The event's id: the same at every attempt and replay. */
  readonly id: string
  /** Unix seconds of this attempt. */
  readonly timestamp: number
  readonly body: string
  /** Live secrets, oldest first: one, or two while a rotation runs. */
  readonly secrets: readonly [string, ...ReadonlyArray<string>]
}

/**
 * All signature headers of an attempt. While rotating, `x-cd-signature` is by the old secret, `x-cd-signature-next` by the new one,
 * and `webhook-signature` lists both, separated by a space.
 */
export const signatureHeaders = ({ id, timestamp, body, secrets }: Signed): Record<string, string> => {
  const [current, next] = secrets
  return {
    "x-cd-timestamp": String(timestamp),
    "x-cd-signature": signConnectDomain(current, timestamp, body),
    ...(next === undefined ? {} : { "x-cd-signature-next": signConnectDomain(next, timestamp, body) }),
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": secrets.map((secret) => signStandard(secret, id, timestamp, body)).join(" ")
  }
}
