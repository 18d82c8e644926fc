/**
 * When the CA wants a certificate renewed: ARI (RFC 9773).
 *
 * Owns: CertID, the renewalInfo request. Leaves to `planRenewal.ts`: choosing the instant.
 */
import { Clock, Effect, Schema } from "effect"
import { type AcmeSession, malformed } from "./AcmeSession.ts"

/** `base64url(keyIdentifier) "." base64url(serial)`, the serial as DER holds it, with its leading zero (RFC 9773 §4.1). */
export const certIdOf = (authorityKeyIdentifierHex: string, serialHex: string): string => {
  const even = serialHex.length % 2 === 0 ? serialHex : `0${serialHex}`
  const bytes = Buffer.from(even, "hex")
  const serial = bytes[0] !== undefined && bytes[0] >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes
  return `${Buffer.from(authorityKeyIdentifierHex, "hex").toString("base64url")}.${serial.toString("base64url")}`
}

const Answer = Schema.Struct({
  suggestedWindow: Schema.Struct({ start: Schema.String, end: Schema.String }),
  explanationURL: Schema.optionalKey(Schema.String)
})

export interface RenewalWindow {
  readonly start: Date
  readonly end: Date
  readonly explanationUrl: string | undefined
  readonly retryAfterSeconds: number | undefined
}

/** The suggested window; undefined when the CA offers no ARI. `Gone`/`Refused` when the CA doesn't know the certificate. */
export const readRenewalInfo = Effect.fn("acme.renewalInfo")(function* (session: AcmeSession, certId: string) {
  const { renewalInfo } = yield* session.directory
  if (renewalInfo === undefined) return undefined
  const response = yield* session.get("renewalInfo", `${renewalInfo.replace(/\/$/, "")}/${certId}`)
  const { suggestedWindow, explanationURL } = yield* session.decode("renewalInfo", Answer, response.body)
  const start = new Date(suggestedWindow.start)
  const end = new Date(suggestedWindow.end)
  // RFC 9773 §4.2: a window that does not end after it starts is as good as no answer.
  if (!(end.getTime() > start.getTime())) return yield* malformed("renewalInfo", "the suggested window is empty")
  const now = yield* Clock.currentTimeMillis
  yield* Effect.logDebug("renewal window", { certId, start, end, inPast: end.getTime() < now })
  return { start, end, explanationUrl: explanationURL, retryAfterSeconds: response.retryAfterSeconds } satisfies RenewalWindow
})
