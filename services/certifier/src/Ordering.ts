/**
 * One certificate for one leased claim, from the CA that suits: which CAs are asked, in which order, and what is resumed.
 *
 * Owns: the choice among CAs, the order's key while it is under way. Leaves to the authorities: issuing; to `attendClaim.ts`: storing,
 * publishing, waiting. Built against: changing the CA because it was away for a minute. A claim that is served and has time stays with the
 * CA that issued (its renewals are exempt from limits there); one that is waiting, or runs out of time, takes whichever CA answers.
 */

import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault, type Place } from "@connect-domain/secrets/Vault.ts"
import { Clock, Context, Effect, Layer, Result } from "effect"
import { Authorities } from "./Authorities.ts"
import { AcmeError, RateLimited } from "./acme/AcmeError.ts"
import { Budgets } from "./Budgets.ts"
import type { CertificateAuthority, Issued } from "./CertificateAuthority.ts"
import type { Certificate } from "./Certificates.ts"
import type { Claim, LeaseLost } from "./Claim.ts"
import { Claims } from "./Claims.ts"
import { candidatesFor, lifeLeft, urgentShare } from "./candidates.ts"
import { Preflight, type PreflightFailed } from "./Preflight.ts"
import { issuerVanished } from "./Replacements.ts"

export interface Ordered {
  readonly authority: CertificateAuthority
  readonly issued: Issued
}

const orderKeyPlace = (claimId: string): Place => ({ tenant: claimId, table: "claims", column: "order_key", row: claimId })

export class Ordering extends Context.Service<
  Ordering,
  {
    /** Fails with the reason of the CA that was asked first when none delivers, or before any is asked. */
    readonly order: (
      claim: Claim,
      current: Certificate | undefined
    ) => Effect.Effect<Ordered, AcmeError | PreflightFailed | DatabaseError | LeaseLost>
  }
>()("certifier/Ordering") {
  static readonly layer = Layer.effect(
    Ordering,
    Effect.gen(function* () {
      const [authorities, budgets, claims, preflight] = [yield* Authorities, yield* Budgets, yield* Claims, yield* Preflight]
      const vault = makeVault(yield* keyRing("EDGE_KEK"))

      const resumable = (claim: Claim, { directory }: CertificateAuthority) => {
        if (claim.order_url === null || claim.order_key_sealed === null || claim.order_directory !== directory) return undefined
        const keyPem = vault.openText(claim.order_key_sealed, orderKeyPlace(claim.claim_id))
        return Result.isSuccess(keyPem) ? { url: claim.order_url, keyPem: keyPem.success } : undefined
      }

      const orderAt = (claim: Claim, current: Certificate | undefined, authority: CertificateAuthority) => {
        const sameCa = current?.directory === authority.directory && claim.replace_reason !== issuerVanished
        const request = {
          hostname: claim.hostname,
          replaces: sameCa ? (current?.cert_id ?? undefined) : undefined,
          resume: resumable(claim, authority)
        }
        return authority.issue(request, (placed) =>
          claims.saveOrder(
            claim,
            placed && {
              url: placed.url,
              keySealed: vault.seal(placed.keyPem, orderKeyPlace(claim.claim_id)),
              directory: authority.directory
            }
          )
        )
      }

      /** The CAs that may be asked. An order under way had its look. */
      const permitted = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
        const all = authorities.of(claim.environment)
        if (claim.order_url !== null) return all
        const view = yield* preflight.look(claim)
        if (view.caa !== undefined && view.caa.verdict !== "unknown") yield* claims.rememberCaa(claim, view.caa)
        const urgent = current !== undefined && lifeLeft(current, yield* Clock.currentTimeMillis) <= urgentShare
        return yield* preflight.permitted(claim, view, all, urgent)
      })

      const order = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
        const all = yield* permitted(claim, current)
        const paused = yield* budgets.paused
        const now = yield* Clock.currentTimeMillis
        const candidates = candidatesFor(claim, current, all, { now, paused })
        const until = paused.get(candidates[0]!.directory)
        // A renewal at the CA that issued is exempt from limits; nobody else is asked while paused.
        if (until !== undefined && candidates[0]!.directory !== current?.directory) return yield* pausedUntil(until, now)
        let first: AcmeError | undefined
        for (const authority of candidates) {
          const outcome = yield* Effect.result(orderAt(claim, current, authority))
          if (Result.isSuccess(outcome)) return { authority, issued: outcome.success }
          if (outcome.failure._tag !== "AcmeError") return yield* Effect.fail(outcome.failure)
          first ??= outcome.failure
          if (!anotherMayHelp(outcome.failure)) return yield* outcome.failure
          yield* Effect.logInfo("this CA does not deliver", { ca: authority.name, error: outcome.failure.message })
        }
        return yield* first!
      })

      return Ordering.of({ order })
    })
  )
}

const pausedUntil = (until: Date, now: number) =>
  new AcmeError({
    operation: "budget",
    reason: new RateLimited({
      detail: `no CA that may issue takes orders before ${until.toISOString()}`,
      retryAfterSeconds: Math.max(1, (until.getTime() - now) / 1000),
      scope: "account"
    })
  })

/** A CA that is away, at its limit, forbidden by CAA or unwilling says nothing about the next; a name that answers wrongly does. */
const anotherMayHelp = ({ reason }: AcmeError): boolean =>
  reason._tag === "Refused" ? ["caa", "rejectedIdentifier", "unsupportedIdentifier"].includes(reason.problem.type) : true
