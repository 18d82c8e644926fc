/**
 * The two halves of one request and its answer, as they speak to each other.
 *
 * Owns: the interface between a client's side (HTTP/1.1 connection, HTTP/2 stream) and the origin's side. Leaves to both: their framing; neither
 * sees the other's. Bodies cross as bare bytes, so a framing error on one side can't reach the other.
 */
import type { Duplex } from "node:stream"
import type { ResponseHead } from "../http1/responseHead.ts"

/** How the request's body is delimited towards the origin. */
export type BodyFraming = "none" | "length" | "chunked"

/** How the response's body comes: its length is known, it is not, or there is none whatever the head says. */
export type ResponseBody = "none" | "length" | "stream"

export interface Failure {
  readonly status: 502 | 503 | 504
  /** For log and metrics: `connect-refused`, `origin-timeout`, … */
  readonly code: string
}

/** The client's side: what it does when the origin speaks. All calls are synchronous; after `end`, `upgrade` or `fail` none follows. */
export interface ExchangeClient {
  /** Between these two, everything written may be held back to leave as one write. */
  cork(): void
  /** False: the origin should pause until `OriginExchange.resume`. */
  uncork(): boolean
  /** It reads what it is given: it was given more than anything would hold for it. */
  readonly steady?: boolean
  /** The origin wants the body (RFC 9110 §10.1.1). */
  proceed(): void
  /** A 1xx other than 100 and 101, to be passed on. */
  interim(head: ResponseHead): void
  respond(head: ResponseHead, body: ResponseBody): void
  /** `bytes` from `start` to `end`, valid until `uncork`, or for as long as `hold` says. False: the origin should pause until `OriginExchange.resume`. */
  data(bytes: Buffer, start: number, end: number): boolean
  /** `trailers`: lines that may be passed on, each with its CRLF. */
  end(trailers: string): void
  /** 101: from now on bytes of `socket` are the client's; `rest` came behind the head. */
  upgrade(head: ResponseHead, socket: Duplex, rest: Buffer): void
  /** The request's body may go on after `write` returned false. */
  drained(): void
  fail(failure: Failure): void
}

/** The origin's side. */
export interface OriginExchange {
  /** A piece of the request's body; false: wait for `drained`. */
  write(piece: Buffer): boolean
  /** The body is complete; `trailers` as in `ExchangeClient.end`, used only with chunked framing. */
  end(trailers: string): void
  /** The request waits for its turn: the origin knows nothing of it. */
  readonly queued: boolean
  /** True once the body is complete. */
  readonly sent: boolean
  /** The pieces of this turn stay as they are until the returned function is called; undefined: they don't, who keeps one copies it. */
  hold(): (() => void) | undefined
  resume(): void
  /** The client is gone, or its message was refused half-way: the origin's connection is destroyed. */
  abort(): void
}
