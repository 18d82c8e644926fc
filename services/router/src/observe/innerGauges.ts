/**
 * What the edge counts about its own parts, and an operator should see before its clients do.
 *
 * Owns: names and helps. Leaves to the parts: counting; to `Router.ts`: what concerns clients and their requests.
 */
import type { AlpnChallenges } from "../challenge/AlpnChallenges.ts"
import type { OriginPool } from "../origin/OriginPool.ts"
import type { Contexts } from "../tls/Contexts.ts"
import type { AccessLog } from "./AccessLog.ts"
import type { Gauge } from "./EdgeMetrics.ts"
import type { LoopDelay } from "./LoopDelay.ts"

export interface InnerParts {
  readonly challenges: AlpnChallenges
  readonly contexts: Contexts
  readonly loopDelay: LoopDelay
  readonly pool: OriginPool
  /** Connections to origins that failed, by reason and error code. */
  readonly connectFailures: ReadonlyMap<string, number>
}

const gauge = (name: string, help: string, read: Gauge["read"]): Gauge => ({ name, help, read, type: "gauge" })
const counter = (name: string, help: string, read: Gauge["read"]): Gauge => ({ name, help, read, type: "counter" })

export const innerGauges = ({ challenges, connectFailures, contexts, loopDelay, pool }: InnerParts): ReadonlyArray<Gauge> => [
  gauge("edge_event_loop_delay_seconds", "How late the event loop is: 99th percentile of the last half minute.", () => loopDelay.seconds),
  gauge("edge_contexts_waiting", "TLS contexts that wait for their turn to be made.", () => contexts.turns.waiting),
  counter("edge_contexts_made_total", "TLS contexts made.", () => contexts.made),
  counter("edge_contexts_failed_total", "TLS contexts whose certificate or key could not be used.", () => contexts.failed),
  counter("edge_challenges_broken_total", "TLS-ALPN-01 challenges whose certificate or key could not be used.", () => challenges.broken),
  counter(
    "edge_origin_unconfirmed_ends_total",
    "Answers that only the end of a TLS origin's connection delimited.",
    () => pool.unconfirmedEnds
  ),
  {
    ...counter("edge_origin_connect_failed_total", "Connections to origins that failed, by reason and error code.", () => connectFailures),
    label: "code"
  }
]

export const accessLogGauge = (log: AccessLog): Gauge =>
  counter("edge_access_log_lost_total", "Lines of the access log that were lost because its reader was too slow.", () => log.lost)
