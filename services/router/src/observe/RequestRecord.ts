/**
 * What is remembered of one request, for the access log and the metrics.
 *
 * Owns: its fields. Leaves to `AccessLog.ts` and `EdgeMetrics.ts`: what becomes of it. Never holds a query, a cookie or an authorisation.
 */

import type { RepeatedBytes } from "../RepeatedBytes.ts"
import type { RequestId } from "../RequestId.ts"

/** Who asked. */
export interface Asking {
  readonly scheme: "https" | "http"
  readonly address: string
  /** Canonical SNI, "" for none: the only name that a message has which could not be read. */
  readonly serverName: string
  /** What the access log says of its last request; most are for one host. */
  logged?: (Pick<RequestRecord, "protocol" | "method" | "host" | "connectionId"> & { readonly text: RepeatedBytes }) | undefined
}

export interface RequestRecord {
  readonly peer: Asking
  readonly requestId: RequestId
  readonly protocol: "http/1.0" | "http/1.1" | "h2"
  readonly method: string
  readonly host: string
  /** Path without query. */
  readonly path: string
  readonly status: number
  /** Why the edge answered itself; "" when the origin answered. */
  readonly code: string
  readonly connectionId: string
  readonly tenantId: string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly millis: number
  /** Until the head of the origin's answer was there; -1: no origin answered. */
  readonly originMillis: number
  /** It opened a tunnel that goes on; `Observer.tunnelClosed` tells the whole. */
  readonly tunnel: boolean
}

export interface Observer {
  connectionOpened(protocol: string): void
  connectionClosed(protocol: string): void
  /** An HTTP/2 connection was ended for its client's doing; `code` as RFC 9113 §7 names it. */
  http2Failed(code: string): void
  requestStarted(): void
  requestDone(record: RequestRecord): void
  /** Bytes that passed inside a tunnel just now; no record holds them before the tunnel's end. */
  tunnelMoved(connectionId: string, bytesIn: number, bytesOut: number): void
  /** The record of the request that opened it, with the tunnel's bytes and time. */
  tunnelClosed(record: RequestRecord): void
}

/** The path without its query, which may hold secrets. */
export const withoutQuery = (target: string): string => {
  const mark = target.indexOf("?")
  return mark < 0 ? target : target.slice(0, mark)
}
