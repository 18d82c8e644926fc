/**
 * What every client connection needs of its edge.
 *
 * Owns: the bundle of the process's parts, the limits on clients. Leaves to `service.ts`: building it.
 */

import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { Deadlines } from "../Deadlines.ts"
import { decideRoute } from "../exchange/decideRoute.ts"
import type { Peer } from "../exchange/forwardHead.ts"
import { isRefusal, type Refusal } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { Client, Gate, Refused } from "../limits/Gate.ts"
import type { Asking, Observer } from "../observe/RequestRecord.ts"
import type { RequestTraces } from "../observe/RequestTraces.ts"
import { type Origin, readOrigin } from "../origin/Origin.ts"
import type { OriginPool } from "../origin/OriginPool.ts"
import type { Applications } from "../policy/Applications.ts"
import { decidePolicy } from "../policy/decidePolicy.ts"
import { pageOf, policyAnswer } from "../policy/errorPage.ts"
import { leavesPrefix } from "../policy/originPath.ts"
import { noPolicy, type Policy } from "../policy/Policy.ts"
import { type Ends, proxyPreface } from "../policy/proxyPreface.ts"
import type { RequestId } from "../RequestId.ts"
import type { HostnameTable } from "../registry/HostnameTable.ts"
import { type Answer, allowedAnswer, errorAnswer, withLines } from "./answers.ts"

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
export interface ClientPeer extends Client, Peer, Asking {
  /** The socket that it came on, for origins that want to know. */
  readonly ends?: Ends | undefined
  /** Where its last request went; most ask for one host, and what that means changes seldom. */
  route?: Route | undefined
}

/** With all that is remembered of it set: clients in one form, whatever they have asked for so far, are what V8 reads fastest. */
export const clientPeer = (who: Pick<ClientPeer, "address" | "scheme" | "serverName" | "ends">): ClientPeer => ({
  address: who.address,
  scheme: who.scheme,
  serverName: who.serverName,
  ends: who.ends,
  route: undefined,
  middle: undefined,
  logged: undefined,
  clientKey: undefined
})

/** What an entry and its application come to. */
interface Route {
  readonly entry: HostnameEntry
  /** Of the applications. */
  readonly version: number
  readonly policy: Policy
  /** Undefined: there is none that can be read. */
  readonly origin: Origin | undefined
}

export interface Edge {
  readonly table: HostnameTable
  readonly pool: OriginPool
  readonly gate: Gate
  readonly applications: Applications
  readonly deadlines: Deadlines
  readonly limits: ClientLimits
  readonly observer: Observer
  /** True from SIGTERM on: answers carry `Connection: close`, no request is waited for. */
  readonly draining: boolean
  readonly newRequestId: () => RequestId
  /** Only where spans are exported. */
  readonly traces?: RequestTraces | undefined
}

/** `entry`: whose request it was, once that is known. */
export interface OwnDecision {
  readonly answer: Answer
  readonly code: string
  readonly close: boolean
  readonly entry?: HostnameEntry
  /** The answer is held back for so long; absent: not at all. */
  readonly afterMillis?: number
}
export type Decision = ProxyDecision | OwnDecision
export type Decide = (edge: Edge, peer: ClientPeer, head: RequestHead, requestId: RequestId) => Decision
export interface ProxyDecision {
  readonly entry: HostnameEntry
  readonly origin: Origin
  readonly policy: Policy
}

/** What holds for the connection's server name. */
const policyOfServerName = ({ applications, table }: Edge, { serverName }: ClientPeer): Policy => {
  const named = serverName === "" ? undefined : table.find(serverName)
  return named === undefined ? noPolicy : applications.policyOf(named)
}

/** To a message that became no request: of its host only the server name is known. */
export const unreadAnswer = (edge: Edge, peer: ClientPeer, status: number, requestId: RequestId): Answer =>
  withLines(errorAnswer(status, "", requestId), policyOfServerName(edge, peer).hsts)

/** RFC 9110 §15.5.20: the client may repeat a misdirected request on another connection; this one is of no more use to it. */
const misdirected = (edge: Edge, peer: ClientPeer, head: RequestHead, requestId: RequestId, { status, code }: Refusal): OwnDecision => {
  return { answer: policyAnswer(pageOf(policyOfServerName(edge, peer)), head, status, requestId), code, close: true }
}

/** Too often, or too much at once: with the seconds after which it is worth trying again. */
const limited = (
  { entry, policy }: Omit<ProxyDecision, "origin">,
  head: RequestHead,
  requestId: RequestId,
  { status, code, seconds, afterMillis }: Refused
): OwnDecision => {
  const answer = policyAnswer(policy, head, status, requestId, { retryAfter: seconds })
  return { answer, code, close: false, entry, afterMillis }
}

const routeOf = ({ applications }: Edge, peer: ClientPeer, entry: HostnameEntry): Route => {
  const { version } = applications
  const last = peer.route
  if (last !== undefined && last.entry === entry && last.version === version) return last
  const url = applications.originOf(entry)
  const origin = url === null ? undefined : readOrigin(entry.tenant_id, url)
  const route = { entry, version, policy: applications.policyOf(entry), origin }
  peer.route = route
  return route
}

/** What happens to a request: the same for HTTP/1.1 and HTTP/2 on the TLS listener. */
export const decideTls = (edge: Edge, peer: ClientPeer, head: RequestHead, requestId: RequestId): Decision => {
  const entry = decideRoute(edge.table, peer.serverName, head.host, head.hops)
  if (isRefusal(entry)) return misdirected(edge, peer, head, requestId, entry)
  const { origin, policy } = routeOf(edge, peer, entry)
  const refused = edge.gate.request(entry, peer, policy.limits)
  if (refused !== undefined) return limited({ entry, policy }, head, requestId, refused)
  const answered = policy === noPolicy ? undefined : decidePolicy(edge, entry, policy, head, requestId)
  if (answered !== undefined) return answered
  if (head.lastHop) return { answer: withLines(allowedAnswer, policy.hsts), code: "max-forwards", close: false, entry }
  if (origin === undefined) return { answer: policyAnswer(policy, head, 503, requestId), code: "no-origin", close: false, entry }
  if (origin.prefix !== "" && leavesPrefix(head.target))
    return { answer: policyAnswer(policy, head, 400, requestId), code: "path-above-origin", close: false, entry }
  if (policy.proxyProtocol === undefined) return { entry, origin, policy }
  return { entry, origin: { ...origin, preface: proxyPreface(policy.proxyProtocol, peer.address, peer.ends) }, policy }
}
