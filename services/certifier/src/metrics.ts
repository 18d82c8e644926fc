/**
 * What an operator watches (A15): CAs send no expiry mail, so the certifier says itself how long its certificates last.
 *
 * Owns: gauges, refreshed once a minute from two indexed queries. Counters stand where the counted thing happens.
 */
import { Effect, Layer, Metric, Schedule } from "effect"
import { Certificates } from "./Certificates.ts"
import { Claims } from "./Claims.ts"

const served = Metric.gauge("certificates_served", { description: "certificates that edges serve" })
const firstEnd = Metric.gauge("certificate_first_end_seconds", { description: "seconds until the first served certificate ends" })
const failing = Metric.gauge("certificate_failing_claims", { description: "claims whose last attempt failed" })
const overdue = Metric.gauge("certificate_oldest_due_seconds", { description: "how long the oldest due claim has been waiting" })

export const issuedTotal = Metric.counter("certificates_issued_total", { description: "certificates issued", incremental: true })
export const failedTotal = Metric.counter("certificate_attempts_failed_total", { description: "failed attempts", incremental: true })
export const issueSeconds = Metric.histogram("certificate_issue_seconds", {
  description: "from lease to stored certificate",
  boundaries: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]
})

export const metrics = Layer.effectDiscard(
  Effect.gen(function* () {
    const [certificates, claims] = [yield* Certificates, yield* Claims]
    const refresh = Effect.gen(function* () {
      const { current, first_end_seconds } = yield* certificates.health
      const queue = yield* claims.health
      yield* Metric.update(served, current)
      yield* Metric.update(firstEnd, first_end_seconds ?? 0)
      yield* Metric.update(failing, queue.failing)
      yield* Metric.update(overdue, queue.oldest_due_seconds ?? 0)
    })
    yield* refresh.pipe(Effect.ignore, Effect.repeat(Schedule.spaced("1 minute")), Effect.forkScoped)
  })
)
