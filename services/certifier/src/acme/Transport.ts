/**
 * HTTP as ACME needs it: one request, a bounded answer, no redirects.
 *
 * Owns: the shape. Leaves to `egressTransport.ts` the sockets, and to `AcmeSession.ts` what answers mean.
 * Built against: a CA (or what stands in its DNS name) that never ends its answer.
 */
import type { Effect } from "effect"
import type { AcmeError } from "./AcmeError.ts"

export interface TransportRequest {
  readonly method: "GET" | "HEAD" | "POST"
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface TransportResponse {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** All `Link` headers joined by commas stand in `headers.link`. */
  readonly body: string
}

/** Fails with `Unavailable` alone: no connection, no answer in time, an answer over 1 MiB. */
export type Transport = (request: TransportRequest) => Effect.Effect<TransportResponse, AcmeError>
