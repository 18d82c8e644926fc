/**
 * What the lifecycle is told about a claim's certificate.
 *
 * Owns: the mirror that callers see, the messages' ids. Messages go through the outbox: in the transaction of the change they tell.
 */
import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { certificateChanged } from "@connect-domain/messages/lifecycle.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { Context, Effect, Layer } from "effect"
import type { Certificate } from "./Certificates.ts"
import type { Claim } from "./Claim.ts"
import { takeOverAt } from "./imported/warnings.ts"
import { isImported, originOf } from "./issuerOrigin.ts"

type Payload = (typeof certificateChanged)["payload"]["Type"]

/** What `planNext` says of the renewal. */
interface Renewing {
  readonly renewAt: Date
  readonly renewBecause: "ari" | "lifetime"
}

type Told = Pick<Claim, "claim_id" | "connection_id" | "fence">

export class Notices extends Context.Service<
  Notices,
  {
    /** The certificate is in Postgres and in its bucket. */
    readonly issued: (
      claim: Told,
      certificate: Certificate,
      change: "issued" | "renewed",
      renewal: Renewing
    ) => Effect.Effect<void, DatabaseError>
    /** The instant of the next renewal has moved. */
    readonly planned: (claim: Told, certificate: Certificate, renewal: Renewing) => Effect.Effect<void, DatabaseError>
    /** A certificate that nobody renews comes to its end; `nextAt`: when more is said or done. */
    readonly ending: (
      claim: Told,
      certificate: Certificate,
      end: { readonly message: string; readonly nextAt: Date }
    ) => Effect.Effect<void, DatabaseError>
    /** A renewal has begun; the old certificate is served meanwhile. */
    readonly renewing: (claim: Told, certificate: Certificate) => Effect.Effect<void, DatabaseError>
    /** An attempt failed. `certificate`: the one that is still served, if any; `ended`: its life is over. */
    readonly failed: (
      claim: Told,
      certificate: Certificate | undefined,
      failure: { readonly message: string; readonly nextAttemptAt: Date; readonly pausedUntil: Date | null; readonly ended: boolean }
    ) => Effect.Effect<void, DatabaseError>
    /** Nothing is wrong, but a limit of the CA makes us wait. */
    readonly waiting: (
      claim: Told,
      certificate: Certificate | undefined,
      wait: { readonly message: string; readonly nextAttemptAt: Date }
    ) => Effect.Effect<void, DatabaseError>
    /** Its CA has revoked what is served; a successor is on its way. */
    readonly revoked: (claim: Omit<Told, "fence">, certificate: Certificate) => Effect.Effect<void, DatabaseError>
    readonly destroyed: (claim: Told) => Effect.Effect<void, DatabaseError>
  }
>()("certifier/Notices") {
  static readonly layer = Layer.effect(
    Notices,
    Effect.gen(function* () {
      const outbox = yield* Outbox
      // The fence makes the id: one notice of a kind per lease, the same one when the transaction is run again.
      const tell = (claim: Told, change: Payload["change"], certificate: Payload["certificate"], certificateId: string | null) =>
        outbox.add([
          {
            definition: certificateChanged,
            payload: { connection_id: claim.connection_id, claim_id: claim.claim_id, change, certificate_id: certificateId, certificate },
            id: `certificate.${claim.claim_id}.${claim.fence}.${change}`
          }
        ])
      return Notices.of({
        issued: (claim, certificate, change, renewal) =>
          tell(claim, change, { ...mirror(certificate, "issued"), ...renewalOf(certificate, renewal) }, certificate.id),
        planned: (claim, certificate, renewal) =>
          tell(claim, "renewing", { ...mirror(certificate, "issued"), ...renewalOf(certificate, renewal) }, certificate.id),
        ending: (claim, certificate, { message, nextAt }) =>
          tell(
            claim,
            "failed",
            { ...mirror(certificate, "issued"), last_error: message, next_attempt_at: nextAt.toISOString() },
            certificate.id
          ),
        renewing: (claim, certificate) => tell(claim, "renewing", mirror(certificate, "renewing"), certificate.id),
        failed: (claim, certificate, { message, nextAttemptAt, pausedUntil, ended }) =>
          tell(
            claim,
            "failed",
            {
              // Served and not over yet: the customer's visitors notice nothing.
              ...mirror(certificate, certificate === undefined ? "failed" : ended ? "expired" : "renewing"),
              last_error: message,
              next_attempt_at: nextAttemptAt.toISOString(),
              ...(pausedUntil === null ? {} : { paused_until: pausedUntil.toISOString() })
            },
            certificate?.id ?? null
          ),
        waiting: (claim, certificate, { message, nextAttemptAt }) =>
          tell(
            claim,
            certificate === undefined ? "pending" : "renewing",
            {
              ...mirror(certificate, certificate === undefined ? "pending" : "renewing"),
              last_error: message,
              next_attempt_at: nextAttemptAt.toISOString()
            },
            certificate?.id ?? null
          ),
        revoked: ({ connection_id, claim_id }, certificate) =>
          outbox.add([
            {
              definition: certificateChanged,
              payload: {
                connection_id,
                claim_id,
                change: "renewing",
                certificate_id: certificate.id,
                certificate: mirror(certificate, "renewing")
              },
              // Whoever leases the claim meanwhile tells `renewing` by his fence: another message.
              id: `certificate.${claim_id}.${certificate.id}.revoked`
            }
          ]),
        destroyed: (claim) => tell(claim, "destroyed", mirror(undefined, "none"), null)
      })
    })
  )
}

/** What callers see of it. While one that is revoked is served it says so, whatever becomes of its successor. */
export const mirror = (
  certificate: Certificate | undefined,
  status: "none" | "pending" | "issued" | "renewing" | "failed" | "expired"
): Payload["certificate"] => ({
  status: certificate?.revoked_at instanceof Date ? "revoked" : status,
  not_before: certificate?.not_before.toISOString() ?? null,
  not_after: certificate?.not_after.toISOString() ?? null,
  ca: certificate?.ca ?? null,
  serial: certificate?.serial ?? null,
  ...(certificate === undefined ? {} : { challenge: certificate.challenge, issuer_origin: originOf(certificate) }),
  ...(typeof certificate?.why === "string" ? { why: certificate.why } : {})
})

const renewalWhy = {
  ari: "the certificate authority suggests this time",
  lifetime: "enough of its life is left then to outlast a failure of the certificate authority"
} as const

const renewalOf = (certificate: Certificate, { renewAt, renewBecause }: Renewing) =>
  isImported(certificate)
    ? {
        next_renewal_at: takeOverAt({ notBefore: certificate.not_before, notAfter: certificate.not_after }).toISOString(),
        renewal_why: "an uploaded certificate is replaced by its successor: the one that you upload until then, else one that we obtain"
      }
    : { next_renewal_at: renewAt.toISOString(), renewal_why: renewalWhy[renewBecause] }
