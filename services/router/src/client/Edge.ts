/**
 * What every client connection needs of its edge.
 *
 * Owns: the bundle of the process's parts, the limits on clients. Leaves to `service.ts`: building it.
 */
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { Deadlines } from "../Deadlines.ts"
import { decideRoute } from "../exchange/decideRoute.ts"
import { isRefusal } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { Client, Gate, Refused } from "../limits/Gate.ts"
import type { Observer } from "../observe/RequestRecord.ts"
import type { RequestTraces } from "../observe/RequestTraces.ts"
import { type Origin, readOrigin } from "../origin/Origin.ts"
import type { OriginPool } from "../origin/OriginPool.ts"
import type { HostnameTable } from "../registry/HostnameTable.ts"
import { type Answer, errorAnswer } from "./answers.ts"

/** Milliseconds that a client may take (E8). */
export interface ClientLimits {
  /** From the first byte of a head to its end. */
  readonly headMillis: number
  /** Between two pieces of a request's body. */
  readonly bodyMillis: number
  /** For taking what was sent to it. */
  readonly drainMillis: number
  /** Between two requests. */
  readonly idleMillis: number
  /** A tunnel (WebSocket) on which nothing moves. */
  readonly tunnelMillis: number
}

/** Who is on the other end of a connection. */
export interface ClientPeer extends Client {
  readonly address: string
  readonly scheme: "https" | "http"
  /** SNI in canonical form; "" when there is none. */
  readonly serverName: string
}

export interface Edge {
  readonly table: HostnameTable
  readonly pool: OriginPool
  readonly gate: Gate
  readonly deadlines: Deadlines
  readonly limits: ClientLimits
  readonly observer: Observer
  /** True from SIGTERM on: answers carry `Connection: close`, no request is waited for. */
  readonly draining: boolean
  readonly newRequestId: () => string
  /** Only where spans are exported. */
  readonly traces?: RequestTraces | undefined
}

export type Decision = ProxyDecision | { readonly answer: Answer; readonly code: string; readonly close: boolean }
export interface ProxyDecision {
  readonly entry: HostnameEntry
  readonly origin: Origin
}

/** Too often, or too much at once: with the seconds after which it is worth trying again. */
const limitedDecision = ({ status, code, seconds }: Refused, head: RequestHead, requestId: string): Decision => {
  const answer = errorAnswer(status, head.accept, requestId)
  return { answer: { ...answer, headers: `Retry-After: ${seconds}\r\nCache-Control: no-store\r\n` }, code, close: false }
}

/** What happens to a request: the same for HTTP/1.1 and HTTP/2 on the TLS listener. */
export const decideTls = (edge: Edge, peer: ClientPeer, head: RequestHead, requestId: string): Decision => {
  const routed = decideRoute(edge.table, peer.serverName, head.host, head.hops)
  // RFC 9110 §15.5.20: the client may repeat a misdirected request on another connection; this one is of no more use to it.
  if (isRefusal(routed)) return { answer: errorAnswer(routed.status, head.accept, requestId), code: routed.code, close: true }
  const origin = routed.origin === null ? undefined : readOrigin(routed.tenant_id, routed.origin)
  if (origin === undefined) return { answer: errorAnswer(503, head.accept, requestId), code: "no-origin", close: false }
  const refused = edge.gate.request(routed, peer)
  return refused === undefined ? { entry: routed, origin } : limitedDecision(refused, head, requestId)
}
