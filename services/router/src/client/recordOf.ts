/** The record of a request over either version of HTTP, or of a message that became none. */
// The global is a getter, which costs more than the clock: whatever runs for each request imports it.

import { performance } from "node:perf_hooks"
import type { Refusal } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import { type RequestRecord, withoutQuery } from "../observe/RequestRecord.ts"
import type { RequestId } from "../RequestId.ts"
import type { ClientPeer } from "./Edge.ts"

/** What is known of a request when it is over. */
export interface Recorded {
  readonly requestId: RequestId
  /** Of `performance.now`. */
  readonly startedAt: number
  /** When its origin's answer began, of the same clock; 0: it has not. */
  readonly answeredAt: number
  /** Absent when it could not be read. */
  readonly head: RequestHead | undefined
  readonly status: number
  readonly code: string
  readonly connectionId: string
  readonly tenantId: string
  bytesIn: number
  bytesOut: number
}

/** Who asked, and how. */
export interface Asker {
  readonly peer: ClientPeer
  readonly protocol: RequestRecord["protocol"]
}

/** `now`: when it was over, of `performance.now`. */
export const recordOf = (request: Recorded, { peer, protocol }: Asker, now = performance.now()): RequestRecord => {
  const { head } = request
  return {
    requestId: request.requestId,
    protocol,
    peer,
    method: head?.method ?? "",
    host: head?.host ?? "",
    path: head === undefined ? "" : withoutQuery(head.target),
    status: request.status,
    code: request.code,
    connectionId: request.connectionId,
    tenantId: request.tenantId,
    bytesIn: request.bytesIn,
    bytesOut: request.bytesOut,
    millis: now - request.startedAt,
    originMillis: request.answeredAt === 0 ? -1 : request.answeredAt - request.startedAt,
    tunnel: false
  }
}

/** Nothing of a refused head is believed, so nothing of it is recorded: only the name that the connection was made for. */
export const recordOfRefusal = ({ status, code }: Refusal, requestId: RequestId, peer: ClientPeer): RequestRecord => {
  const nothing = { head: undefined, answeredAt: 0, connectionId: "", tenantId: "", bytesIn: 0, bytesOut: 0 }
  return recordOf({ requestId, startedAt: performance.now(), status, code, ...nothing }, { peer, protocol: "http/1.1" })
}
