/**
 * What a certificate authority does for us: issue for names, say when to renew.
 *
 * Owns: the meaning of the calls. Implemented by `AcmeAuthority` (any RFC 8555 CA) and `InternalAuthority` (our own, for private networks
 * and machines without a test CA). Leaves to `attendClaim.ts`: when, for whom, and what a failure leads to.
 */
import type { CaaIssuer } from "@connect-domain/dns/caa.ts"
import type { Effect } from "effect"
import type { AcmeError } from "./acme/AcmeError.ts"
import type { CertificateFacts } from "./acme/certificateFacts.ts"
import type { RenewalWindow } from "./acme/renewalInfo.ts"
import type { Offers } from "./challenges/ChallengeMemory.ts"
import type { Proof } from "./challenges/Proof.ts"

export interface IssueRequest {
  readonly hostname: string
  /** CertID of the certificate that this one takes over from. */
  readonly replaces: string | undefined
  /** How often in a row it has failed until now. */
  readonly failures: number
  /** An order of ours that was under way when its worker ended. */
  readonly resume: OrderInProgress | undefined
  /** How control over the name may be shown, the first to be tried first; one that can't be put in place gives way to the next. */
  readonly proofs: ReadonlyArray<Proof>
}

export interface OrderInProgress {
  readonly url: string
  readonly keyPem: string
}

export interface Issued {
  readonly chain: string
  readonly keyPem: string
  readonly facts: CertificateFacts
  readonly account: string | null
  /** `http-01` …: how the name was proven, by this order or by one before it; null when nobody says, or the CA wants no proof. */
  readonly challenge: string | null
  readonly validatedAt: Date | null
  /** The CA took a proof that it had from before. */
  readonly provedBefore: boolean
  readonly profile: string | null
}

export interface CertificateAuthority {
  /** Shown to callers as `ca`. */
  readonly name: string
  /** The directory's URL, or `internal`: names the CA in the database. */
  readonly directory: string
  /** Whether it must be shown that the name is ours. */
  readonly needsProof: boolean
  /** Who it is in CAA records, and who we are there; the method is for the caller to fill in. */
  readonly caa: Effect.Effect<CaaIssuer, AcmeError>
  /** What it was last seen to offer; undefined: not seen yet. Asks nobody. */
  readonly offers: Effect.Effect<Offers | undefined>
  /**
   * Issues one certificate for `request.hostname`. `placed` is run before anything is asked of the CA beyond the order itself, so that a
   * restart resumes this order instead of placing a second one; null means that the order is of no use any more. Interruptible anywhere.
   */
  readonly issue: <E, R>(
    request: IssueRequest,
    placed: (order: OrderInProgress | null) => Effect.Effect<void, E, R>
  ) => Effect.Effect<Issued, AcmeError | E, R>
  /** The CA's suggested window; undefined when it offers none. */
  readonly renewalWindow: (certId: string) => Effect.Effect<RenewalWindow | undefined, AcmeError>
}
