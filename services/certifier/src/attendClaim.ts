/**
 * What a leased claim needs now, done: destroy, publish, order, renew, or just a look at the CA's window.
 *
 * Owns: the order of steps, so that a crash after any of them is made good by whoever leases the claim next. Leaves to `Claims` the fence,
 * to the authorities the issuing, to `planRenewal.ts` and `retryLadder.ts` the instants.
 * A database or NATS that is away ends the attempt without a trace: the lease runs out and the claim is due again.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import type { NatsUnavailable } from "@connect-domain/nats/Nats.ts"
import { keyRing } from "@connect-domain/secrets/KeyRing.ts"
import { makeVault } from "@connect-domain/secrets/Vault.ts"
import { Clock, Config, Context, Effect, Layer, Metric, Random, Schedule } from "effect"
import { Authorities } from "./Authorities.ts"
import type { AcmeError } from "./acme/AcmeError.ts"
import { CertificateBucket } from "./CertificateBucket.ts"
import { type Certificate, Certificates, certificateKeyPlace } from "./Certificates.ts"
import type { Claim, LeaseLost } from "./Claim.ts"
import { Claims, leaseSeconds } from "./Claims.ts"
import { ChallengeMemory } from "./challenges/ChallengeMemory.ts"
import { afterFailure, isMoved, lifetimeOf, nextGlance, nextStep, planNext, windowOf } from "./decide.ts"
import { explainAttempt } from "./explainFailure.ts"
import { fingerprint } from "./findings.ts"
import { takeOverText, warningText } from "./imported/warnings.ts"
import { isImported } from "./issuerOrigin.ts"
import { Notices } from "./Notices.ts"
import { type Ordered, Ordering } from "./Ordering.ts"
import { Preflight, type PreflightFailed } from "./Preflight.ts"
import { longestPollSeconds, type SuggestedWindow } from "./planRenewal.ts"
import { failedTotal, issuedTotal, issueSeconds } from "./watch/metrics.ts"

/** The longest time between two looks at a certificate's suggested renewal window, seconds; a longer Retry-After of the CA gives way. Default 43200. */
export const AriPollSeconds = Config.Int("CD_ARI_POLL_SECONDS").pipe(Config.withDefault(longestPollSeconds))

/** After so many days of failures that somebody outside must end, a name without a certificate is given up for a while. Default 7. */
export const PauseDays = Config.Int("CD_CERTIFIER_PAUSE_DAYS").pipe(Config.withDefault(7))

type Failure = DatabaseError | NatsUnavailable | LeaseLost

export class ClaimAttendant extends Context.Service<
  ClaimAttendant,
  {
    /** Does what the claim needs and ends its lease. Interruptible anywhere. */
    readonly attend: (claim: Claim) => Effect.Effect<void, Failure>
  }
>()("certifier/ClaimAttendant") {
  static readonly layer = Layer.effect(
    ClaimAttendant,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const database = yield* Database
  const [claims, certificates, bucket, memory] = [yield* Claims, yield* Certificates, yield* CertificateBucket, yield* ChallengeMemory]
  const [notices, authorities, ordering, preflight] = [yield* Notices, yield* Authorities, yield* Ordering, yield* Preflight]
  const vault = makeVault(yield* keyRing("EDGE_KEK"))
  const [pollSeconds, pauseDays] = [yield* AriPollSeconds, yield* PauseDays]
  const now = Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis))

  const destroy = Effect.fnUntraced(function* (claim: Claim) {
    // Bucket first: a key that is gone from Postgres can't be found in the bucket any more.
    const ids = yield* certificates.idsOf(claim.claim_id)
    yield* bucket.remove(ids)
    yield* database.transaction(
      Effect.gen(function* () {
        yield* claims.close(claim)
        yield* Effect.andThen(certificates.destroy(claim.claim_id), memory.forget(claim.claim_id))
        if (ids.length > 0) yield* notices.destroyed(claim)
      })
    )
    yield* Effect.logInfo("certificate destroyed", { certificates: ids.length })
  })

  const planOf = Effect.fnUntraced(function* (certificate: Certificate, window: SuggestedWindow | undefined, retryAfterSeconds?: number) {
    const look = { now: yield* now, hasWindow: certificate.cert_id !== null, maxPollSeconds: pollSeconds, random: yield* Random.next }
    return planNext(certificate, window, { ...look, retryAfterSeconds })
  })

  const publish = Effect.fnUntraced(function* (claim: Claim, certificate: Certificate, change: "issued" | "renewed") {
    yield* bucket.put(certificate)
    const plan = yield* planOf(certificate, undefined)
    yield* database.transaction(
      Effect.gen(function* () {
        yield* claims.settle(claim, { ...plan, replaced: true })
        yield* certificates.promote(claim.claim_id, certificate.id)
        yield* notices.issued(claim, certificate, change, plan)
      })
    )
    yield* Effect.logInfo(`certificate ${change}`, { serial: certificate.serial, ca: certificate.ca, not_after: certificate.not_after })
  })

  /** Somebody asked for what is there: put it again, say it again. Whatever else is due comes next. */
  const answerAgain = Effect.fnUntraced(function* (claim: Claim, current: Certificate) {
    yield* bucket.put(current)
    const plan = yield* planOf(current, windowOf(claim))
    yield* database.transaction(Effect.andThen(claims.putBack(claim, null), notices.issued(claim, current, "issued", plan)))
  })

  const fail = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined, error: AcmeError | PreflightFailed) {
    const at = yield* now
    const { kind, retryAfterSeconds, message: reason } = explainAttempt(claim.hostname, error)
    const takesOver = current !== undefined && isImported(current)
    const message = takesOver ? `${takeOverText(claim.hostname, lifetimeOf(current), at)} ${reason}` : reason
    const after = afterFailure(claim, kind, {
      now: at,
      random: yield* Random.next,
      retryAfterSeconds,
      pauseAfterMillis: pauseDays * 86_400_000,
      served: current,
      hurried: claim.replace_reason !== null
    })
    // A CA that is away for a moment is nobody's news; the second failure in a row is. Our own edges' absence never is.
    const isNews = kind === "unavailable" ? claim.failures >= 1 : kind !== "edgeless"
    if (kind !== "edgeless") yield* Metric.update(failedTotal, 1)
    yield* Effect.logWarning("no certificate", { error: error.message, failures: after.failures, next_attempt_at: after.retryAt })
    const pausedView = after.pausedUntil === null ? null : fingerprint(yield* preflight.look(claim))
    yield* database.transaction(
      Effect.gen(function* () {
        const nextAttemptAt = yield* claims.fail(claim, { ...after, pausedView, kind, message, forgetOrder: kind === "refused" })
        const ended = current !== undefined && current.not_after <= at
        const told = { message, nextAttemptAt, pausedUntil: after.pausedUntil, ended }
        if (isNews) yield* (kind === "limited" ? notices.waiting : notices.failed)(claim, current, told)
      })
    )
  })

  /** Given up, but not forgotten: an order once the DNS looks otherwise than when it was given up. */
  const glance = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
    const seen = fingerprint(yield* preflight.look(claim))
    if (seen !== null && seen !== claim.paused_view)
      return yield* order({ ...claim, failures: 0, failing_since: null, paused_until: null }, current)
    yield* claims.putBack(claim, nextGlance(yield* now, claim.paused_until!, yield* Random.next))
  })

  const order = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
    const started = yield* Clock.currentTimeMillis
    if (current !== undefined && claim.failures === 0) yield* notices.renewing(claim, current)
    const ordered = yield* ordering
      .order(claim, current)
      .pipe(Effect.catchTag(["AcmeError", "PreflightFailed"], (error) => Effect.as(fail(claim, current, error), undefined)))
    if (ordered === undefined) return
    const certificate = toCertificate(claim, ordered, (id) => vault.seal(ordered.issued.keyPem, certificateKeyPlace(claim.claim_id, id)))
    yield* certificates.store(claim, certificate)
    yield* Metric.update(issuedTotal, 1)
    yield* Metric.update(issueSeconds, ((yield* Clock.currentTimeMillis) - started) / 1000)
    yield* publish(claim, certificate, current === undefined ? "issued" : "renewed")
  })

  /** Asks for the window; renews at once when its instant has come (RFC 9773 §4.2). */
  const look = Effect.fnUntraced(function* (claim: Claim, current: Certificate) {
    const authority = authorities.of(claim.environment).find(({ directory }) => directory === current.directory)
    const asked =
      current.cert_id === null || authority === undefined
        ? undefined
        : yield* authority.renewalWindow(current.cert_id).pipe(
            Effect.tapError((error) => Effect.logInfo("no renewal window", { error: error.message })),
            Effect.orElseSucceed(() => undefined)
          )
    const plan = yield* planOf(current, asked ?? windowOf(claim), asked?.retryAfterSeconds)
    if (plan.renewAt <= (yield* now)) return yield* order(claim, current)
    const settled = claims.settle(claim, { ...plan, replaced: false })
    if (!isMoved(claim, plan)) return yield* settled
    yield* database.transaction(Effect.andThen(settled, notices.planned(claim, current, plan)))
  })

  /** Whoever brought it is told before it ends. */
  const watch = Effect.fnUntraced(function* (claim: Claim, current: Certificate) {
    const at = yield* now
    const plan = yield* planOf(current, undefined)
    const settled = claims.settle(claim, { ...plan, replaced: false })
    if (claim.renew_at === null || claim.renew_at > at) return yield* settled
    const message = warningText(claim.hostname, lifetimeOf(current))
    yield* Effect.logWarning("an imported certificate comes to its end", { not_after: current.not_after })
    yield* database.transaction(Effect.andThen(settled, notices.ending(claim, current, { message, nextAt: plan.renewAt })))
  })

  const step = Effect.fnUntraced(function* (claim: Claim) {
    const rows = claim.state === "released" ? [] : yield* certificates.ofClaim(claim.claim_id)
    const stored = rows.find((row) => row.state === "stored")
    const current = rows.find((row) => row.state === "current")
    switch (nextStep(claim, stored !== undefined, current, yield* now)) {
      case "destroy":
        return yield* destroy(claim)
      case "publish":
        return yield* publish(claim, stored!, current === undefined ? "issued" : "renewed")
      case "answer":
        return yield* answerAgain(claim, current!)
      case "order":
        return yield* order(claim, current)
      case "look":
        return yield* look(claim, current!)
      case "glance":
        return yield* glance(claim, current)
      case "watch":
        return yield* watch(claim, current!)
      case "wait":
        return yield* claims.putBack(claim, null)
    }
  })

  /** Never succeeds: fails as soon as the lease is somebody else's. */
  const keepLease = (claim: Claim) =>
    Effect.sleep((leaseSeconds * 1000) / 3).pipe(
      Effect.andThen(
        // Its end is awaited: a statement that is cancelled on the server may take another's place there.
        Effect.retry(Effect.uninterruptible(claims.extend(claim)), {
          while: (error) => error._tag === "DatabaseError",
          schedule: Schedule.spaced("1 second")
        })
      ),
      Effect.forever
    )

  return ClaimAttendant.of({
    attend: (claim) =>
      Effect.raceFirst(step(claim), keepLease(claim)).pipe(
        Effect.annotateLogs({ connection_id: claim.connection_id, hostname: claim.hostname })
      )
  })
})

const toCertificate = (claim: Claim, { authority, issued, why }: Ordered, seal: (id: string) => string): Certificate => {
  const id = uuidv7()
  const { facts } = issued
  return {
    id,
    claim_id: claim.claim_id,
    state: "stored",
    names: facts.names,
    environment: claim.environment,
    chain: issued.chain,
    key_sealed: seal(id),
    serial: facts.serial,
    not_before: facts.notBefore,
    not_after: facts.notAfter,
    ca: authority.name,
    directory: authority.directory,
    account: issued.account,
    issuer: facts.issuer,
    top_fingerprint: facts.topFingerprint,
    cert_id: facts.certId ?? null,
    challenge: issued.challenge,
    validated_at: issued.validatedAt,
    profile: issued.profile,
    why
  }
}
