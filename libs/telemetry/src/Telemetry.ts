/**
 * What a service tells its operator: JSON log lines, and traces, metrics and logs by OTLP where an endpoint is configured.
 *
 * Owns: the form and the level of log lines, redaction, the exporter. Leaves to `requestContext.ts`: ids; to `healthServer.ts` and the
 * gateway: serving `/metrics`. Metrics are Effect's: `Metric.counter(…)` anywhere, rendered by `metricsText`.
 */
import { Cause, Config, Effect, Layer, Logger, Option, References, Tracer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp, PrometheusMetrics } from "effect/observability"
import { redact, redactText } from "./redact.ts"
import { writeLine } from "./standardOutput.ts"

/** Least severe level that is logged: `trace`, `debug`, `info` (default), `warn`, `error`, `fatal` or `none`. */
export const LogLevelSetting = Config.String("CD_LOG_LEVEL").pipe(Config.withDefault("info"))

/** Base URL of an OTLP/HTTP collector, e.g. `http://localhost:4318`. Unset: nothing is exported. */
export const OtlpEndpoint = Config.option(Config.String("OTEL_EXPORTER_OTLP_ENDPOINT"))

/** Names of levels, as they may be written in the setting. */
export const levels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  warning: "Warn",
  error: "Error",
  fatal: "Fatal",
  none: "None"
} as const

const levelOf = (name: string) => {
  const level = levels[name.trim().toLowerCase() as keyof typeof levels]
  return level === undefined
    ? Effect.die(new Error(`CD_LOG_LEVEL: "${name}" is none of ${Object.keys(levels).join(", ")}`))
    : Effect.succeed(level)
}

export const Telemetry = {
  /** The service's log lines, and its exporter when one is configured. Provide it around everything else of the service. */
  layer: (service: string) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const level = yield* Effect.flatMap(LogLevelSetting, levelOf)
        const endpoint = yield* OtlpEndpoint
        const lines = Layer.mergeAll(Logger.layer([jsonLogger(service)]), Layer.succeed(References.MinimumLogLevel, level))
        return Option.isNone(endpoint) || endpoint.value === "" ? lines : Layer.provideMerge(exporter(endpoint.value, service), lines)
      })
    )
}

const exporter = (baseUrl: string, service: string) =>
  Otlp.layerJson({
    baseUrl: baseUrl.replace(/\/$/, ""),
    resource: { serviceName: `connect-domain-${service}` },
    loggerMergeWithExisting: true
  }).pipe(Layer.provide(FetchHttpClient.layer))

/** Every metric of this process in Prometheus's text format. */
export const metricsText: Effect.Effect<string> = PrometheusMetrics.format({ prefix: "connect_domain" })

/** One line of JSON on standard output per message; exported for its test. */
export const jsonLogger = (service: string, write: (line: string) => void = writeLine) =>
  Logger.make<unknown, void>((options) => {
    try {
      write(`${JSON.stringify(lineOf(service, options))}\n`)
    } catch (error) {
      write(`${JSON.stringify({ time: options.date.toISOString(), level: "error", service, message: `unloggable: ${String(error)}` })}\n`)
    }
  })

const lineOf = (service: string, { date, logLevel, message, cause, fiber }: Logger.Options<unknown>): Record<string, unknown> => {
  const parts = Array.isArray(message) ? message : [message]
  const line: Record<string, unknown> = { time: date.toISOString(), level: logLevel.toLowerCase(), service }
  line.message = redactText(parts.filter((part) => typeof part !== "object" || part === null).join(" "))
  const span = fiber.context.mapUnsafe.get(Tracer.ParentSpanKey) as Tracer.AnySpan | undefined
  if (span !== undefined) line.trace_id = span.traceId
  Object.assign(line, redact(fiber.getRef(References.CurrentLogAnnotations)))
  for (const part of parts) {
    if (typeof part !== "object" || part === null) continue
    if (Cause.isCause(part)) line.error = redactText(Cause.pretty(part))
    else if (part instanceof Error || Array.isArray(part)) line.error = redact(part)
    else Object.assign(line, redact(part))
  }
  if (cause.reasons.length > 0) line.error = redactText(Cause.pretty(cause))
  return line
}
