import { createServer, type IncomingMessage } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { healthServer } from "./healthServer.ts"
import { Readiness } from "./Readiness.ts"
import { Telemetry } from "./Telemetry.ts"

const environment = (record: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnvRecord(record))

/** A collector that keeps what it is sent. */
const collector = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly received: Map<string, string>; readonly close: () => void }>((resume) => {
    const received = new Map<string, string>()
    const server = createServer((request: IncomingMessage, response) => {
      let body = ""
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on("end", () => {
        received.set(request.url ?? "", (received.get(request.url ?? "") ?? "") + body)
        response.writeHead(200, { "content-type": "application/json" }).end("{}")
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, received, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

describe("telemetry", () => {
  it.live("exports traces under the service's name when an endpoint is configured", () =>
    Effect.gen(function* () {
      const { url, received } = yield* collector
      const telemetry = Telemetry.layer("certifier").pipe(
        Layer.provide(environment({ OTEL_EXPORTER_OTLP_ENDPOINT: url, CD_LOG_LEVEL: "none" }))
      )
      yield* Effect.provide(Effect.withSpan(Effect.void, "order certificate"), telemetry)
      const traces = received.get("/v1/traces") ?? ""
      assert.include(traces, "order certificate")
      assert.include(traces, "connect-domain-certifier")
    }).pipe(Effect.scoped)
  )

  it.live("serves health, readiness and metrics where it is told to, and refuses a bad address by name", () =>
    Effect.gen(function* () {
      const port = yield* Effect.map(collector, ({ url, close }) => {
        close()
        return new URL(url).port
      })
      const layer = healthServer("certifier").pipe(
        Layer.provideMerge(Readiness.layer),
        Layer.provide(environment({ CD_CERTIFIER_HEALTH_LISTEN: `127.0.0.1:${port}` }))
      )
      const get = (path: string) => Effect.promise(() => fetch(`http://127.0.0.1:${port}${path}`))
      yield* Effect.gen(function* () {
        const { register } = yield* Readiness
        assert.strictEqual((yield* get("/healthz")).status, 200)
        assert.strictEqual((yield* get("/readyz")).status, 200)
        yield* register("nats", Effect.fail(new Error("no connection")))
        const notReady = yield* get("/readyz")
        assert.strictEqual(notReady.status, 503)
        assert.deepStrictEqual(yield* Effect.promise(() => notReady.json()), { ready: false, checks: { nats: "no connection" } })
        assert.include((yield* get("/metrics")).headers.get("content-type"), "text/plain")
        assert.strictEqual((yield* get("/other")).status, 404)
      }).pipe(Effect.provide(layer))
      const bad = healthServer("certifier").pipe(
        Layer.provide(Readiness.layer),
        Layer.provide(environment({ CD_CERTIFIER_HEALTH_LISTEN: "nowhere" }))
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(bad)))
      assert.include(error.message, "CD_CERTIFIER_HEALTH_LISTEN")
    }).pipe(Effect.scoped)
  )
})
