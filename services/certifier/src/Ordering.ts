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
import type { AcmeError } from "./acme/AcmeError.ts"
import { Budgets } from "./Budgets.ts"
import type { CertificateAuthority, Issued } from "./CertificateAuthority.ts"
import type { Certificate } from "./Certificates.ts"
import { type Claim, Claims, type LeaseLost } from "./Claims.ts"
import { issuerVanished } from "./Replacements.ts"

export interface Ordered {
  readonly authority: CertificateAuthority
  readonly issued: Issued
}

/** With less of the life left than this, any CA will do. */
const urgentShare = 1 / 4

const orderKeyPlace = (claimId: string): Place => ({ tenant: claimId, table: "claims", column: "order_key", row: claimId })

export class Ordering extends Context.Service<
  Ordering,
  {
    /** Fails with the reason of the CA that was asked first when none delivers. */
    readonly order: (claim: Claim, current: Certificate | undefined) => Effect.Effect<Ordered, AcmeError | DatabaseError | LeaseLost>
  }
>()("certifier/Ordering") {
  static readonly layer = Layer.effect(
    Ordering,
    Effect.gen(function* () {
      const [authorities, budgets, claims] = [yield* Authorities, yield* Budgets, yield* Claims]
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

      const order = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
        const candidates = candidatesFor(claim, current, authorities.of(claim.environment), {
          now: yield* Clock.currentTimeMillis,
          paused: yield* budgets.paused
        })
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

/** Which CAs are asked, in this order; never none. Exported for its test. */
export const candidatesFor = (
  claim: Pick<Claim, "order_directory" | "replace_reason">,
  current: Pick<Certificate, "directory" | "not_before" | "not_after"> | undefined,
  all: ReadonlyArray<CertificateAuthority>,
  at: { readonly now: number; readonly paused: ReadonlyMap<string, Date> }
): ReadonlyArray<CertificateAuthority> => {
  const issuer = claim.replace_reason !== issuerVanished ? all.find(({ directory }) => directory === current?.directory) : undefined
  if (issuer !== undefined && current !== undefined) {
    const life = current.not_after.getTime() - current.not_before.getTime()
    const left = (current.not_after.getTime() - at.now) / life
    const others = all.filter((each) => each !== issuer && !at.paused.has(each.directory))
    return left > urgentShare ? [issuer] : [issuer, ...others]
  }
  const open = all.filter(({ directory }) => !at.paused.has(directory))
  const underWay = open.find(({ directory }) => directory === claim.order_directory)
  const ordered = underWay === undefined ? open : [underWay, ...open.filter((each) => each !== underWay)]
  return ordered.length === 0 ? all.slice(0, 1) : ordered
}

/** A CA that is away, at its limit, forbidden by CAA or unwilling says nothing about the next; a name that answers wrongly does. */
const anotherMayHelp = ({ reason }: AcmeError): boolean =>
  reason._tag === "Refused" ? ["caa", "rejectedIdentifier", "unsupportedIdentifier"].includes(reason.problem.type) : true
