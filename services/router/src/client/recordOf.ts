/** The record of an HTTP/1.1 exchange, or of a message that became none. */
import type { Refusal } from "../http1/Refusal.ts"
import { type RequestRecord, withoutQuery } from "../observe/RequestRecord.ts"
import type { ClientPeer } from "./Edge.ts"
import type { Http1Exchange } from "./Http1Exchange.ts"

export const recordOf = (exchange: Http1Exchange, peer: ClientPeer): RequestRecord => {
  const { head } = exchange
  return {
    requestId: exchange.requestId,
    protocol: head.minor === 0 ? "http/1.0" : "http/1.1",
    scheme: peer.scheme,
    address: peer.address,
    method: head.method,
    host: head.host,
    path: withoutQuery(head.target),
    status: exchange.status,
    code: exchange.code,
    connectionId: exchange.connectionId,
    tenantId: exchange.tenantId,
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    millis: performance.now() - exchange.startedAt
  }
}

/** Nothing of a refused head is believed, so nothing of it is recorded. */
export const recordOfRefusal = (refusal: Refusal, requestId: string, peer: ClientPeer): RequestRecord => ({
  requestId,
  protocol: "http/1.1",
  scheme: peer.scheme,
  address: peer.address,
  method: "",
  host: "",
  path: "",
  status: refusal.status,
  code: refusal.code,
  connectionId: "",
  tenantId: "",
  bytesIn: 0,
  bytesOut: 0,
  millis: 0
})
