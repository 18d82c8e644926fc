/**
 * What an operator watches (A15): CAs send no expiry mail, so the certifier says itself how long its certificates last, what fails, what
 * waits, how much of each limit is used, and which CA does not answer. `deploy/alerts/certifier.yaml` holds the rules.
 *
 * Owns: the metrics and their names. Leaves to `Gauges.ts`: reading them from the tables; counters stand where the counted thing happens.
 */
import { Metric } from "effect"

const gauge = (id: string, description: string) => Metric.gauge(id, { description })
const counter = (id: string, description: string) => Metric.counter(id, { description, incremental: true })

export const gauges = {
  served: gauge("certificates_served", "certificates that edges serve and we renew"),
  firstEnd: gauge("certificate_first_end_seconds", "seconds until the first of them ends"),
  leastShare: gauge("certificate_least_life_left_share", "the least share of its life that one of them has left, 0 to 1"),
  imported: gauge("certificates_imported", "imported certificates that edges serve"),
  importedEnding: gauge("certificates_imported_ending", "imported certificates with a twenty-fourth of their life left, or less"),
  failing: gauge("certificate_failing_claims", "names whose last attempt failed"),
  paused: gauge("certificate_paused_claims", "names that are given up for a while"),
  replacing: gauge("certificate_replacing_claims", "names whose certificate must be replaced whatever its dates"),
  overdue: gauge("certificate_oldest_due_seconds", "how long the oldest due claim has been waiting"),
  revocations: gauge("certificate_revocations_waiting", "certificates that are to be revoked and are not yet"),
  budgetUsed: gauge("certificate_budget_used_share", "how much of a CA's limit is used, where it is used most, 0 to 1"),
  authorityPaused: gauge("certificate_authority_paused_seconds", "for how long a CA takes no new orders from us yet")
} as const

export const issuedTotal = counter("certificates_issued_total", "certificates issued")
export const failedTotal = counter("certificate_attempts_failed_total", "failed attempts")
/** `outcome`: `ok`; `refused` (4xx); `limited` (429); `unavailable` (5xx, no answer). */
export const answersTotal = counter("certificate_authority_answers_total", "answers of a CA, by outcome")
export const issueSeconds = Metric.histogram("certificate_issue_seconds", {
  description: "from lease to stored certificate",
  boundaries: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]
})

/** Every name that `/metrics` may show, without the prefix. */
export const metricNames: ReadonlyArray<string> = [...Object.values(gauges), issuedTotal, failedTotal, answersTotal, issueSeconds].map(
  ({ id }) => id
)
