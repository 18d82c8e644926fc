/** The way from a request that may be forwarded to the origin's side of its exchange, for either version of HTTP. */

import type { ExchangeClient } from "../exchange/Exchange.ts"
import { framingOf, headMiddle } from "../exchange/forwardHead.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { OriginRequest } from "../origin/OriginRequest.ts"
import type { RequestId } from "../RequestId.ts"
import type { ClientPeer, Edge, ProxyDecision } from "./Edge.ts"

export interface OpenOptions {
  readonly requestId: RequestId
  readonly peer: ClientPeer
  readonly client: ExchangeClient
}

/** Not started yet: `start` is the caller's, once it is ready to be called back. */
export const openOrigin = (edge: Edge, head: RequestHead, decision: ProxyDecision, options: OpenOptions): OriginRequest => {
  const traced = edge.traces?.begin(head, options.requestId) ?? head
  const { entry } = decision
  const middle = headMiddle(options.peer, head, decision, entry.connection_id)
  const forwarded = { head: traced, way: decision, middle, requestId: options.requestId }
  const outgoing = { forwarded, framing: framingOf(head), address: options.peer.address, use: edge.gate.useOf(entry) }
  return edge.pool.open(decision.origin, outgoing, options.client)
}
