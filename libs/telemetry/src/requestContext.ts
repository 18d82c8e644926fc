/**
 * What identifies the request that a fiber works for, wherever it runs.
 *
 * Owns: the request id's place in a fiber and its header names. Leaves to the gateway: making one; to libs/nats and libs/outbox: carrying
 * it along with the W3C trace context; to `Telemetry.ts`: putting it on every log line.
 */
import { Context, Effect, References, Tracer } from "effect"

/** The id that the API answered with; every log line, message and event that follows from the request carries it. */
export const RequestId = Context.Reference<string | undefined>("telemetry/RequestId", { defaultValue: () => undefined })

export const requestIdHeader = "cd-request-id"
/** W3C Trace Context, https://www.w3.org/TR/trace-context/ */
export const traceparentHeader = "traceparent"

/** Runs `effect` for the request `id`: its log lines and the messages it sends carry the id. */
export const withRequestId =
  (id: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(Effect.annotateLogs(effect, "request_id", id), RequestId, id)

/** The headers that say for which request and in which trace a fiber works; undefined when neither is known. */
export const contextHeaders = (context: Context.Context<never>): Record<string, string> | undefined => {
  const requestId = Context.get(context, RequestId)
  const span = context.mapUnsafe.get(Tracer.ParentSpanKey) as Tracer.AnySpan | undefined
  if (requestId === undefined && span === undefined) return undefined
  const headers: Record<string, string> = {}
  if (requestId !== undefined) headers[requestIdHeader] = requestId
  if (span !== undefined) headers[traceparentHeader] = `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`
  return headers
}

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/

/** The context of a fiber that handles something which came with these headers. */
export const contextFromHeaders = <R>(
  context: Context.Context<R>,
  requestId: string | undefined,
  trace: string | undefined,
  annotations: Readonly<Record<string, unknown>> = {}
): Context.Context<R> => {
  const all = { ...Context.get(context, References.CurrentLogAnnotations), ...annotations }
  let result = context
  if (requestId !== undefined && requestId !== "") {
    all.request_id = requestId
    result = Context.add(result, RequestId, requestId) as Context.Context<R>
  }
  const match = trace === undefined ? null : traceparent.exec(trace)
  if (match !== null) {
    const span = Tracer.externalSpan({ traceId: match[1]!, spanId: match[2]!, sampled: match[3] !== "00" })
    result = Context.add(result, Tracer.ParentSpan, span) as Context.Context<R>
  }
  return Context.add(result, References.CurrentLogAnnotations, all) as Context.Context<R>
}

/** Runs `effect` for the request that these headers tell of: kept with work that is done later than it was asked for. */
export const onBehalfOf =
  (headers: Readonly<Record<string, string>> | null) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    headers === null
      ? effect
      : Effect.updateContext(effect, (context: Context.Context<R>) =>
          contextFromHeaders(context, headers[requestIdHeader], headers[traceparentHeader])
        )
