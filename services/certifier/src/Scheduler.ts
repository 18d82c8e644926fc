/**
 * Gives every due claim to the attendant, as many at once as configured, and sleeps until the next one is due.
 *
 * Owns: the loop, the bound. Leaves to `Claims.lease`: that no two processes get the same claim. Built against: a scan at fixed intervals
 * (one indexed look per wake), and one slow order holding up the others.
 */
import { onBehalfOf } from "@connect-domain/telemetry/requestContext.ts"
import { Clock, Config, Effect, FiberSet, Layer, Schedule } from "effect"
import { Authorities } from "./Authorities.ts"
import { ClaimAttendant } from "./attendClaim.ts"
import { Budgets } from "./Budgets.ts"
import { CertificateBucket } from "./CertificateBucket.ts"
import { Certificates, supersededHours } from "./Certificates.ts"
import type { Claim } from "./Claim.ts"
import { Claims } from "./Claims.ts"
import { Wake } from "./Wake.ts"

/** How many claims one certifier works on at the same time. Default 16. */
export const CertifierConcurrency = Config.Int("CD_CERTIFIER_CONCURRENCY").pipe(Config.withDefault(16))

/** Ends within this time lead to one look for work together: a million looks at windows a day must not mean a million scans. Milliseconds. */
const gatherMillis = 250

/** A row written by a process that died before it could work on it is found this late at most, milliseconds. */
const longestSleep = 10_000

/** Works on due claims while its scope is open. */
export const scheduler = Layer.effectDiscard(
  Effect.gen(function* () {
    const [claims, attendant, wake] = [yield* Claims, yield* ClaimAttendant, yield* Wake]
    const [authorities, budgets] = [yield* Authorities, yield* Budgets]
    const concurrency = yield* CertifierConcurrency
    const running = yield* FiberSet.make<void, never>()
    const scope = yield* Effect.scope
    let [isFull, isGathering] = [false, false]

    /** Somebody may be waiting for the free place, or the claim may be due again: at once when all places were taken, else shortly. */
    const ended = Effect.suspend(() => {
      if (isFull) return wake.now
      if (isGathering) return Effect.void
      isGathering = true
      const later = Effect.suspend(() => {
        isGathering = false
        return wake.now
      })
      return Effect.asVoid(Effect.forkIn(Effect.delay(later, gatherMillis), scope))
    })

    const attend = (claim: Claim) =>
      attendant.attend(claim).pipe(
        Effect.catchTag("LeaseLost", () => Effect.logInfo("lost the lease of a claim", { hostname: claim.hostname })),
        Effect.catchCause((cause) =>
          Effect.logWarning("a claim is left to its lease", { hostname: claim.hostname, connection_id: claim.connection_id }, cause)
        ),
        Effect.ensuring(ended),
        onBehalfOf(claim.asked_by)
      )

    const round = Effect.gen(function* () {
      const free = concurrency - (yield* FiberSet.size(running))
      isFull = free <= 0
      const { environments, until } = yield* pausedEnvironments(authorities, yield* budgets.paused)
      const leased = free > 0 ? yield* claims.lease(free, environments) : []
      yield* Effect.forEach(leased, (claim) => FiberSet.run(running, attend(claim)), { discard: true })
      isFull = isFull || leased.length === free
      if (leased.length > 0 && isFull) return yield* wake.wait(longestSleep)
      if (leased.length > 0) return
      const next = free > 0 ? yield* claims.nextDue(environments) : undefined
      // Due and yet not leased: somebody holds the row, or an account's key is being changed.
      const soon = next !== undefined && next <= 0 ? 250 : 5
      yield* wake.wait(Math.min(Math.max(Math.min(next ?? longestSleep, until), soon), longestSleep))
    })
    yield* forEver("claims", round)
  })
)

/** Environments none of whose CAs takes orders now, and milliseconds until the first one does again. */
const pausedEnvironments = Effect.fnUntraced(function* (authorities: Authorities["Service"], paused: ReadonlyMap<string, Date>) {
  if (paused.size === 0) return { environments: [], until: Number.POSITIVE_INFINITY }
  const environments = (["live", "test"] as const).filter((each) => authorities.of(each).every(({ directory }) => paused.has(directory)))
  const first = Math.min(...[...paused.values()].map((date) => date.getTime()))
  return { environments, until: first - (yield* Clock.currentTimeMillis) }
})

/** Destroys the keys of superseded certificates when their time has come. */
export const retirement = Layer.effectDiscard(
  Effect.gen(function* () {
    const [certificates, bucket, budgets] = [yield* Certificates, yield* CertificateBucket, yield* Budgets]
    const round = Effect.gen(function* () {
      const ids = yield* certificates.toRetire(200)
      if (ids.length > 0) {
        yield* bucket.remove(ids)
        return yield* certificates.retire(ids)
      }
      yield* budgets.forget
      // Whatever is superseded from now on has that much time yet.
      const longest = supersededHours * 3_600_000
      yield* Effect.sleep(Math.min(Math.max((yield* certificates.nextRetirement) ?? longest, 1_000), longest))
    })
    yield* forEver("retirement", round)
  })
)

const forEver = <E, R>(name: string, round: Effect.Effect<void, E, R>) =>
  round.pipe(
    Effect.tapError((error) => Effect.logWarning(`${name}: trying again`, { error: String(error) })),
    Effect.retry(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])),
    Effect.forever,
    Effect.forkScoped
  )
