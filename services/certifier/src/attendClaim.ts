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
import { makeVault, type Place } from "@connect-domain/secrets/Vault.ts"
import { Clock, Config, Context, Effect, Layer, Metric, Random, Schedule } from "effect"
import { Authorities } from "./Authorities.ts"
import type { AcmeError, AcmeReason } from "./acme/AcmeError.ts"
import { CertificateBucket } from "./CertificateBucket.ts"
import { type Certificate, Certificates } from "./Certificates.ts"
import { type Claim, Claims, type LeaseLost, leaseSeconds } from "./Claims.ts"
import { explainFailure } from "./explainFailure.ts"
import { failedTotal, issuedTotal, issueSeconds } from "./metrics.ts"
import { Notices } from "./Notices.ts"
import { type Ordered, Ordering } from "./Ordering.ts"
import { longestPollSeconds, nextPoll, planRenewal, type SuggestedWindow } from "./planRenewal.ts"
import { type FailureKind, retryDelay } from "./retryLadder.ts"

/** The longest time between two looks at a certificate's suggested renewal window, seconds; a longer Retry-After of the CA gives way. Default 43200. */
export const AriPollSeconds = Config.Int("CD_ARI_POLL_SECONDS").pipe(Config.withDefault(longestPollSeconds))

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

const keyPlace = (claimId: string, certificateId: string): Place => ({
  tenant: claimId,
  table: "certificates",
  column: "key",
  row: certificateId
})
const make = Effect.gen(function* () {
  const database = yield* Database
  const [claims, certificates, bucket] = [yield* Claims, yield* Certificates, yield* CertificateBucket]
  const [notices, authorities, ordering] = [yield* Notices, yield* Authorities, yield* Ordering]
  const vault = makeVault(yield* keyRing("EDGE_KEK"))
  const pollSeconds = yield* AriPollSeconds
  const now = Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis))

  const destroy = Effect.fnUntraced(function* (claim: Claim) {
    // Bucket first: a key that is gone from Postgres can't be found in the bucket any more.
    const ids = yield* certificates.idsOf(claim.claim_id)
    yield* bucket.remove(ids)
    yield* database.transaction(
      Effect.gen(function* () {
        yield* claims.close(claim)
        yield* certificates.destroy(claim.claim_id)
        if (ids.length > 0) yield* notices.destroyed(claim)
      })
    )
    yield* Effect.logInfo("certificate destroyed", { certificates: ids.length })
  })

  const planOf = Effect.fnUntraced(function* (certificate: Certificate, window: SuggestedWindow | undefined, retryAfterSeconds?: number) {
    const lifetime = { notBefore: certificate.not_before, notAfter: certificate.not_after }
    const renewal = planRenewal(certificate.id, lifetime, window)
    const poll = nextPoll(yield* now, lifetime, { retryAfterSeconds, maxSeconds: pollSeconds, random: yield* Random.next })
    const dueAt = certificate.cert_id !== null && poll < renewal.at ? poll : renewal.at
    return { renewAt: renewal.at, renewBecause: renewal.because, window, dueAt }
  })

  const publish = Effect.fnUntraced(function* (claim: Claim, certificate: Certificate, change: "issued" | "renewed") {
    yield* bucket.put(certificate)
    const plan = yield* planOf(certificate, undefined)
    yield* database.transaction(
      Effect.gen(function* () {
        yield* claims.settle(claim, { ...plan, replaced: true })
        yield* certificates.promote(claim.claim_id, certificate.id)
        yield* notices.issued(claim, certificate, change)
      })
    )
    yield* Effect.logInfo(`certificate ${change}`, { serial: certificate.serial, ca: certificate.ca, not_after: certificate.not_after })
  })

  /** Somebody asked for what is there: put it again, say it again. */
  const answerAgain = Effect.fnUntraced(function* (claim: Claim, current: Certificate) {
    yield* bucket.put(current)
    const plan = yield* planOf(current, windowOf(claim))
    yield* database.transaction(
      Effect.andThen(claims.settle(claim, { ...plan, replaced: false }), notices.issued(claim, current, "issued"))
    )
  })

  const fail = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined, error: AcmeError) {
    const { kind, retryAfterSeconds } = classify(error.reason)
    const message = explainFailure(claim.hostname, error.reason)
    const delay = retryDelay(kind, claim.failures + 1, yield* Random.next, retryAfterSeconds)
    const dueAt = new Date((yield* Clock.currentTimeMillis) + delay * 1000)
    // A CA that is away for a moment is nobody's news; the second failure in a row is.
    const isNews = kind !== "unavailable" || claim.failures >= 1
    yield* Metric.update(failedTotal, 1)
    yield* Effect.logWarning("no certificate", { error: error.message, failures: claim.failures + 1, next_attempt_at: dueAt })
    yield* database.transaction(
      Effect.gen(function* () {
        yield* claims.fail(claim, { dueAt, kind, message, forgetOrder: kind === "refused" })
        const tell = kind === "limited" ? notices.waiting : notices.failed
        if (isNews) yield* tell(claim, current, { message, nextAttemptAt: dueAt })
      })
    )
  })

  const order = Effect.fnUntraced(function* (claim: Claim, current: Certificate | undefined) {
    const started = yield* Clock.currentTimeMillis
    if (current !== undefined && claim.failures === 0) yield* notices.renewing(claim, current)
    const ordered = yield* ordering
      .order(claim, current)
      .pipe(Effect.catchTag("AcmeError", (error) => Effect.as(fail(claim, current, error), undefined)))
    if (ordered === undefined) return
    const certificate = toCertificate(claim, ordered, (id) => vault.seal(ordered.issued.keyPem, keyPlace(claim.claim_id, id)))
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
    yield* claims.settle(claim, { ...plan, replaced: false })
  })

  const step = Effect.fnUntraced(function* (claim: Claim) {
    if (claim.state === "released") return yield* destroy(claim)
    const rows = yield* certificates.ofClaim(claim.claim_id)
    const stored = rows.find((row) => row.state === "stored")
    const current = rows.find((row) => row.state === "current")
    if (stored !== undefined) return yield* publish(claim, stored, current === undefined ? "issued" : "renewed")
    if (current === undefined || claim.replace_reason !== null || (yield* isDue(claim, current))) return yield* order(claim, current)
    if (claim.answer_owed) return yield* answerAgain(claim, current)
    return yield* look(claim, current)
  })

  const isDue = Effect.fnUntraced(function* (claim: Claim, current: Certificate) {
    const lifetime = { notBefore: current.not_before, notAfter: current.not_after }
    return planRenewal(current.id, lifetime, windowOf(claim)).at <= (yield* now)
  })

  /** Never succeeds: fails as soon as the lease is somebody else's. */
  const keepLease = (claim: Claim) =>
    Effect.sleep((leaseSeconds * 1000) / 3).pipe(
      Effect.andThen(
        Effect.retry(claims.extend(claim), { while: (error) => error._tag === "DatabaseError", schedule: Schedule.spaced("1 second") })
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

const windowOf = (claim: Claim): SuggestedWindow | undefined =>
  claim.window_start === null || claim.window_end === null ? undefined : { start: claim.window_start, end: claim.window_end }

const classify = (reason: AcmeReason): { readonly kind: FailureKind; readonly retryAfterSeconds: number } => {
  switch (reason._tag) {
    case "Refused":
      return { kind: "refused", retryAfterSeconds: 0 }
    case "RateLimited":
      return { kind: "limited", retryAfterSeconds: reason.retryAfterSeconds ?? 0 }
    case "Unavailable":
      return { kind: "unavailable", retryAfterSeconds: reason.retryAfterSeconds ?? 0 }
    default:
      return { kind: "unavailable", retryAfterSeconds: 0 }
  }
}

const toCertificate = (claim: Claim, { authority, issued }: Ordered, seal: (id: string) => string): Certificate => {
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
    profile: issued.profile
  }
}
