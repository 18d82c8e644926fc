/**
 * One span per proxied request, where a collector is configured; its id goes to the origin as `traceparent`.
 *
 * Owns: the spans under way, and taking the client's trace on (W3C Trace Context, https://www.w3.org/TR/trace-context/). Leaves exporting to
 * libs/telemetry. Without a collector nobody makes one of these, and a client's `traceparent` passes as it came. Built against: a stranger who
 * decides what the operator stores (§7.2 there). Of a client's `traceparent` only the ids are taken, to find a request again; whether it is
 * sampled is drawn here, not from the trace's id, which the client chooses too.
 */

import { Context, Exit, Option, Tracer } from "effect"
import type { RequestHead } from "../http1/requestHead.ts"
import type { RequestId } from "../RequestId.ts"
import type { RequestRecord } from "./RequestRecord.ts"

const line = /^traceparent:[ \t]*([^\r\n]*)\r\n/im
const field = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}/

const parentIn = (kept: string): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId] = field.exec(line.exec(kept)?.[1] ?? "") ?? []
  return traceId === undefined || spanId === undefined ? undefined : Tracer.externalSpan({ traceId, spanId })
}

const now = (): bigint => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1_000)) * 1_000n

export class RequestTraces {
  private readonly open = new Map<RequestId, Tracer.Span>()
  private readonly tracer: Tracer.Tracer
  private readonly ratio: number

  constructor(tracer: Tracer.Tracer, ratio: number) {
    this.tracer = tracer
    this.ratio = ratio
  }

  /** Begins the span of a request; gives back its head with the span in the place of the client's. */
  begin(head: RequestHead, requestId: RequestId): RequestHead {
    const parent = parentIn(head.kept)
    const span = this.tracer.span({
      ...{ name: `edge ${head.method}`, kind: "server", startTime: now() },
      ...{ parent: Option.fromUndefinedOr(parent), root: false, sampled: Math.random() < this.ratio },
      ...{ annotations: Context.empty(), links: [] }
    })
    this.open.set(requestId, span)
    const flags = span.sampled ? "01" : "00"
    return { ...head, kept: `${head.kept.replace(line, "")}traceparent: 00-${span.traceId}-${span.spanId}-${flags}\r\n` }
  }

  end(record: RequestRecord): void {
    const span = this.open.get(record.requestId)
    if (span === undefined) return
    this.open.delete(record.requestId)
    span.attribute("request_id", String(record.requestId))
    span.attribute("connection_id", record.connectionId)
    span.attribute("server.address", record.host)
    span.attribute("http.request.method", record.method)
    span.attribute("http.response.status_code", record.status)
    if (record.code !== "") span.attribute("error.type", record.code)
    span.end(now(), record.status >= 500 ? Exit.fail(record.code || String(record.status)) : Exit.void)
  }
}
