/**
 * One attempt: the body, its signatures, the request, and what came back.
 *
 * Owns: exactly what goes over the wire. Leaves the address check, time and size bounds to libs/egress (checked when the connection is
 * made, so at every attempt), the consequences to `retrySchedule.ts` and `Deliveries.ts`.
 */
import type { EgressError } from "@connect-domain/egress/EgressError.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { Effect } from "effect"
import type { Claim } from "./Deliveries.ts"
import type { AttemptResult } from "./retrySchedule.ts"
import { Secrets } from "./Secrets.ts"
import { signatureHeaders } from "./Signature.ts"

/** From the first byte sent to the last byte read. Milliseconds. */
export const attemptTimeoutMillis = 5_000
/** Answers are read, so that the connection can be used again, but no further than this. */
export const answerMaxBytes = 64 * 1024

/** The body as receivers know it: these six fields in this order. `sentAt` is this attempt's time. */
export const bodyOf = (claim: Claim, sentAt: Date): string =>
  JSON.stringify({
    id: claim.event_id,
    type: claim.event_type,
    jobId: claim.connection_id,
    data: claim.data,
    sequence: claim.sequence,
    sent_at: sentAt.toISOString()
  })

/** In our words; an answer's body and the URL's path may hold what others should not read. */
const sentences: Readonly<Record<EgressError["reason"], string>> = {
  Denied: "the address is not allowed: it is private, local, or plain http",
  Unresolved: "the host name has no address",
  Unreachable: "could not connect, or the connection broke",
  Tls: "the TLS certificate or handshake is wrong",
  Timeout: "no complete answer within 5 s",
  TooLarge: "the answer is too long",
  InvalidUrl: "not a usable URL"
}

/** Sends one claim now. Never fails: what went wrong is the result. */
export const deliver = (claim: Claim, sentAt: Date): Effect.Effect<AttemptResult, never, HttpClient | Secrets> =>
  Effect.gen(function* () {
    const http = yield* HttpClient
    const [current, ...others] = yield* (yield* Secrets).open(claim.tenant_id, claim.secrets)
    if (current === undefined) return { status: undefined, error: "the signing secret can't be read; rotate it", latencyMs: 0 }
    const body = bodyOf(claim, sentAt)
    const started = performance.now()
    const answer = yield* Effect.result(
      http.request(claim.url, {
        method: "POST",
        body,
        timeoutMs: attemptTimeoutMillis,
        maxBytes: answerMaxBytes,
        truncate: true,
        headers: {
          "content-type": "application/json",
          "user-agent": "Connect-Domain-Webhooks/1",
          ...signatureHeaders({
            id: claim.event_id,
            timestamp: Math.floor(sentAt.getTime() / 1000),
            body,
            secrets: [current, ...others]
          })
        }
      })
    )
    const latencyMs = performance.now() - started
    if (answer._tag === "Failure") return { status: undefined, error: sentences[answer.failure.reason], latencyMs }
    const { status, headers } = answer.success
    const redirected = status >= 300 && status < 400 ? "redirects are not followed" : undefined
    return { status, error: redirected, latencyMs, retryAfter: headers["retry-after"] }
  })
