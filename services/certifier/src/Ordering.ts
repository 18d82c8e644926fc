/**
 * One certificate for one leased claim, from the CA that suits: which CAs are asked, in which order, how, and what is resumed.
 *
 * Owns: the choice among CAs, going on to another proof when the CA did not find the first, the order's key while it is under way. Leaves
 * to `Preflight.ts` which ways are open; to the authorities: issuing; to `attendClaim.ts`: storing, publishing, waiting. Built against:
 * changing the CA because it was away for a minute. A claim that is served and has time stays with the CA that issued (its renewals are
 * exempt from limits there); one that is waiting, or runs out of time, takes whichever CA answers.
 */
import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault, type Place } from "@connect-domain/secrets/Vault.ts"
import { Clock, Context, Effect, Layer, Result } from "effect"
import { Authorities } from "./Authorities.ts"
import { AcmeError, isPolicy, RateLimited } from "./acme/AcmeError.ts"
import { Budgets } from "./Budgets.ts"
import type { CertificateAuthority, Issued } from "./CertificateAuthority.ts"
import type { Certificate } from "./Certificates.ts"
import type { Claim, LeaseLost } from "./Claim.ts"
import { Claims } from "./Claims.ts"
import { candidatesFor, lifeLeft, urgentShare } from "./candidates.ts"
import { ChallengeMemory, wholeOrder } from "./challenges/ChallengeMemory.ts"
import { type Choice, otherWays } from "./challenges/chooseMethods.ts"
import { Proofs } from "./challenges/Proofs.ts"
import type { DnsView } from "./findings.ts"
import { tookOver } from "./imported/warnings.ts"
import { isImported } from "./issuerOrigin.ts"
import { type Permitted, Preflight, type PreflightFailed } from "./Preflight.ts"
import { issuerVanished } from "./Replacements.ts"

export interface Ordered {
  readonly authority: CertificateAuthority
  readonly issued: Issued
  /** Why this CA and this challenge. */
  readonly why: string
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
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const [authorities, budgets, claims, preflight] = [yield* Authorities, yield* Budgets, yield* Claims, yield* Preflight]
  const [memories, proofs] = [yield* ChallengeMemory, yield* Proofs]
  const vault = makeVault(yield* keyRing("EDGE_KEK"))

  const resumable = (claim: Claim, { directory }: CertificateAuthority) => {
    if (claim.order_url === null || claim.order_key_sealed === null || claim.order_directory !== directory) return undefined
    const keyPem = vault.openText(claim.order_key_sealed, orderKeyPlace(claim.claim_id))
    return Result.isSuccess(keyPem) ? { url: claim.order_url, keyPem: keyPem.success } : undefined
  }

  const orderOnce = (claim: Claim, current: Certificate | undefined, { authority, choices }: Permitted, credentials: Credentials) => {
    const sameCa = current?.directory === authority.directory && claim.replace_reason !== issuerVanished
    const request = {
      hostname: claim.hostname,
      replaces: sameCa ? (current?.cert_id ?? undefined) : undefined,
      failures: claim.failures,
      resume: resumable(claim, authority),
      proofs: proofs.of(claim, authority.directory, choices, credentials)
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

  /** One failed proof costs an order; a second one, in another way, is worth one more. */
  const orderAt = Effect.fnUntraced(function* (
    claim: Claim,
    current: Certificate | undefined,
    permitted: Permitted,
    credentials: Credentials
  ) {
    return yield* orderOnce(claim, current, permitted, credentials).pipe(
      Effect.catchIf(
        (error) => error._tag === "AcmeError" && othersThan(error, permitted).length > 0,
        (error) =>
          Effect.gen(function* () {
            const choices = othersThan(error as AcmeError, permitted)
            yield* Effect.logInfo("a proof failed; trying another", { error: error.message, next: choices[0]!.method })
            yield* claims.saveOrder(claim, null)
            const anew = { ...claim, order_url: null }
            return yield* Effect.mapError(orderOnce(anew, current, { ...permitted, choices }, credentials), (second) =>
              second._tag === "AcmeError" ? error : second
            )
          })
      )
    )
  })

  /** The CAs that may be asked, and how. What is under way had its look. */
  const look = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
    const [view, memory] = yield* Effect.all([preflight.look(claim), memories.of(claim.claim_id)], { concurrency: 2 })
    const underWay = claim.order_url !== null
    if (!underWay && view.caa !== undefined && view.caa.verdict !== "unknown") yield* claims.rememberCaa(claim, view.caa)
    const urgent = current !== undefined && lifeLeft(current, yield* Clock.currentTimeMillis) <= urgentShare
    const circumstances = { urgent, served: current !== undefined, underWay }
    const permitted = yield* preflight.permitted(claim, view, authorities.forClaim(claim), circumstances, memory)
    return { permitted, memory, credentials: view.credentials }
  })

  const order = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
    const { permitted, memory, credentials } = yield* look(claim, current)
    const paused = yield* budgets.paused
    const now = yield* Clock.currentTimeMillis
    const all = permitted.map(({ authority }) => authority)
    const candidates = candidatesFor(claim, current, all, { now, paused, refusing: memory.refusing })
    const until = paused.get(candidates[0]!.directory)
    // A renewal at the CA that issued is exempt from limits; nobody else is asked while paused.
    if (until !== undefined && candidates[0]!.directory !== current?.directory) return yield* pausedUntil(until, now)
    let first: AcmeError | undefined
    for (const authority of candidates) {
      const here = permitted.find((each) => each.authority === authority)!
      const outcome = yield* Effect.result(orderAt(claim, current, here, credentials))
      if (Result.isSuccess(outcome)) {
        const why = whyIssued(here, outcome.success, { claim, all: authorities.forClaim(claim), current, first })
        return { authority, issued: outcome.success, why }
      }
      if (outcome.failure._tag !== "AcmeError") return yield* Effect.fail(outcome.failure)
      first ??= outcome.failure
      if (isPolicy(outcome.failure.reason)) yield* memories.failed(claim.claim_id, authority.directory, wholeOrder, outcome.failure.message)
      if (!anotherMayHelp(outcome.failure)) return yield* outcome.failure
      yield* Effect.logInfo("this CA does not deliver", { ca: authority.name, error: outcome.failure.message })
    }
    return yield* first!
  })

  return Ordering.of({ order })
})

type Credentials = DnsView["credentials"]

const othersThan = ({ reason }: AcmeError, { choices }: Permitted): ReadonlyArray<Choice> =>
  reason._tag !== "Refused" || reason.challenge === undefined || isPolicy(reason) ? [] : otherWays(reason.challenge, choices)

interface CaStory {
  readonly claim: Claim
  readonly all: ReadonlyArray<CertificateAuthority>
  readonly current: Certificate | undefined
  readonly first: AcmeError | undefined
}

const whyCa = (authority: CertificateAuthority, { all, current, first }: CaStory): string => {
  if (all.length === 1) return `${authority.name} is the only certificate authority that is set up`
  if (current?.directory === authority.directory) return `${authority.name} issued the certificate before this one`
  if (first !== undefined) return `${authority.name} stands in, because the one asked before it did not deliver`
  if (all[0] === authority) return `${authority.name} is the preferred certificate authority for this name`
  return `${authority.name} is the first certificate authority that may issue for this name and takes orders`
}

const whyIssued = ({ authority, choices }: Permitted, { challenge, provedBefore }: Issued, story: CaStory): string => {
  const { claim, current } = story
  const takesOver = current !== undefined && isImported(current) && claim.replace_reason === null
  const ca = `${takesOver ? `${tookOver}. ` : ""}${whyCa(authority, story)}`
  if (!authority.needsProof) return `${ca}. It asks for no proof.`
  const label = challenge?.toUpperCase() ?? "unknown"
  if (provedBefore) return `${ca}. It had a valid proof left from before (${label}).`
  return `${ca}. ${choices.find(({ method }) => method === challenge)?.why ?? `${label}.`}`
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

/** A CA that is away, at its limit or unwilling says nothing about the next; a name that answers wrongly does. */
const anotherMayHelp = (error: AcmeError): boolean => error.reason._tag !== "Refused" || isPolicy(error.reason)
