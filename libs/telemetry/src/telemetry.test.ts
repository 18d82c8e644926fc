import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Logger, Metric, Redacted, Tracer } from "effect"
import { Readiness } from "./Readiness.ts"
import { redact, redactText } from "./redact.ts"
import { contextFromHeaders, contextHeaders, RequestId, withRequestId } from "./requestContext.ts"
import { jsonLogger, metricsText } from "./Telemetry.ts"

const captured = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const lines: Array<Record<string, unknown>> = []
    yield* Effect.exit(Effect.provide(effect, Logger.layer([jsonLogger("lifecycle", (line) => lines.push(JSON.parse(line)))])))
    return lines
  })

describe("log lines", () => {
  it.effect("are JSON with service, ids, annotations and the error", () =>
    Effect.gen(function* () {
      const lines = yield* captured(
        Effect.logError("went wrong", { connection_id: "c1" }, new Error("boom")).pipe(
          withRequestId("r1"),
          Effect.withParentSpan(Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true }))
        )
      )
      assert.strictEqual(lines.length, 1)
      const { time, error, ...rest } = lines[0]!
      assert.match(String(time), /^\d{4}-.*Z$/)
      assert.include(String(error), "boom")
      assert.deepStrictEqual(rest, {
        level: "error",
        service: "lifecycle",
        message: "went wrong",
        request_id: "r1",
        trace_id: "a".repeat(32),
        connection_id: "c1"
      })
    })
  )

  it.effect("never hold a secret", () =>
    Effect.gen(function* () {
      const secrets = ["hunter2", "sk_live_abcdef123456", "whsec_c2VjcmV0", "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"]
      const lines = yield* captured(
        Effect.gen(function* () {
          yield* Effect.logInfo(`key ${secrets[1]} and ${secrets[2]}`, {
            password: secrets[0],
            nested: { api_key: secrets[0], sealed: secrets[0] }
          })
          yield* Effect.logInfo("seed", secrets[3], { url: `postgres://user:${secrets[0]}@host/db`, value: Redacted.make(secrets[0]!) })
          yield* Effect.logWarning("failed", new Error(`Authorization: Bearer ${secrets[1]}`))
          yield* Effect.logInfo("annotated").pipe(Effect.annotateLogs({ token: secrets[0], tenant_id: "t1" }))
        })
      )
      const text = JSON.stringify(lines)
      for (const secret of secrets) assert.notInclude(text, secret)
      assert.include(text, "t1")
      assert.include(text, "postgres://user:<redacted>@host/db")
    })
  )

  it("redaction leaves ordinary values and survives cycles", () => {
    assert.deepStrictEqual(redact({ at: new Date(0), n: 1n, list: [1, "a"] }), { at: "1970-01-01T00:00:00.000Z", n: "1", list: [1, "a"] })
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    assert.include(JSON.stringify(redact(cycle)), "…")
    assert.strictEqual(redactText("nothing here: example.com"), "nothing here: example.com")
    assert.notInclude(redactText("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"), "abc")
  })
})

describe("request context", () => {
  it.effect("travels through headers", () =>
    Effect.gen(function* () {
      const span = Tracer.externalSpan({ traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true })
      const headers = yield* Effect.contextWith((context: Context.Context<never>) => Effect.succeed(contextHeaders(context))).pipe(
        withRequestId("r9"),
        Effect.withParentSpan(span)
      )
      assert.deepStrictEqual(headers, { "cd-request-id": "r9", traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` })
      const context = contextFromHeaders(yield* Effect.context<never>(), headers?.["cd-request-id"], headers?.traceparent)
      assert.strictEqual(Context.get(context, RequestId), "r9")
      assert.strictEqual(Context.getOrUndefined(context, Tracer.ParentSpan)?.traceId, span.traceId)
      assert.strictEqual(contextHeaders(yield* Effect.context<never>()), undefined)
    })
  )
})

describe("metrics and readiness", () => {
  it.effect("metrics come out in Prometheus's format", () =>
    Effect.gen(function* () {
      yield* Metric.update(Metric.counter("tries_total", { description: "tries" }), 3)
      const text = yield* metricsText
      assert.match(text, /^connect_domain_tries_total 3/m)
    })
  )

  it.effect("a part that fails makes the process not ready, while it is registered", () =>
    Effect.gen(function* () {
      const { register, report } = yield* Readiness
      yield* register("fine", Effect.void)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* register("broken", Effect.fail(new Error("gone")))
          assert.deepStrictEqual(yield* report, { ready: false, checks: { fine: "ok", broken: "gone" } })
        })
      )
      assert.deepStrictEqual(yield* report, { ready: true, checks: { fine: "ok" } })
    }).pipe(Effect.provide(Readiness.layer))
  )
})
