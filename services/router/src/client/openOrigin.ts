/** The way from a request that may be forwarded to the origin's side of its exchange, for either version of HTTP. */
import type { ExchangeClient } from "../exchange/Exchange.ts"
import { forwardHead, framingOf, headMiddle } from "../exchange/forwardHead.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { OriginRequest } from "../origin/OriginRequest.ts"
import type { ClientPeer, Edge, ProxyDecision } from "./Edge.ts"

export interface OpenOptions {
  readonly requestId: string
  readonly peer: ClientPeer
  readonly client: ExchangeClient
}

/** Not started yet: `start` is the caller's, once it is ready to be called back. */
export const openOrigin = (edge: Edge, head: RequestHead, decision: ProxyDecision, options: OpenOptions): OriginRequest => {
  const traced = edge.traces?.begin(head, options.requestId) ?? head
  const { entry } = decision
  const middle = headMiddle(options.peer, head, decision, entry.connection_id)
  const headText = forwardHead(traced, decision, middle, options.requestId)
  const use = edge.gate.useOf(entry)
  const { address } = options.peer
  const outgoing = { method: head.method, headText, framing: framingOf(head), websocket: head.websocket, address, use }
  return edge.pool.open(decision.origin, outgoing, options.client)
}
