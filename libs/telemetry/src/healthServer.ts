/**
 * `/healthz`, `/readyz` and `/metrics` for a service that serves no HTTP of its own.
 *
 * Owns: a listener for the operator's network, only when one is configured. Built on node:http: three paths, no router.
 */
import { createServer, type Server, type ServerResponse } from "node:http"
import { Config, Data, Effect, Layer, Option } from "effect"
import { Readiness } from "./Readiness.ts"
import { metricsText } from "./Telemetry.ts"

/** Where a service's health listener listens, `CD_<SERVICE>_HEALTH_LISTEN` = `host:port`. Unset: nowhere. */
export const healthListen = (service: string) => Config.option(Config.String(`CD_${service.toUpperCase()}_HEALTH_LISTEN`))

export class ListenError extends Data.TaggedError("ListenError")<{ readonly message: string }> {}

export const healthServer = (service: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const listen = yield* healthListen(service)
      if (Option.isNone(listen) || listen.value === "") return
      const { report } = yield* Readiness
      const context = yield* Effect.context<never>()
      const answer = (path: string | undefined): Effect.Effect<Answer> => {
        if (path === "/healthz") return Effect.succeed({ status: 200, type: "application/json", body: '{"ok":true}' })
        if (path === "/readyz") {
          return Effect.map(report, (state) => ({ status: state.ready ? 200 : 503, type: "application/json", body: JSON.stringify(state) }))
        }
        if (path === "/metrics") return Effect.map(metricsText, (body) => ({ status: 200, type: "text/plain; version=0.0.4", body }))
        return Effect.succeed({ status: 404, type: "text/plain", body: "" })
      }
      const server = createServer((request, response) => {
        Effect.runPromiseWith(context)(answer(request.url?.split("?")[0])).then(
          (result) => send(response, result),
          () => send(response, { status: 500, type: "text/plain", body: "" })
        )
      })
      yield* Effect.acquireRelease(listenOn(server, listen.value, service), () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
      )
    })
  )

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

const send = (response: ServerResponse, { status, type, body }: Answer) => {
  response.writeHead(status, { "content-type": type }).end(body)
}

const listenOn = (server: Server, address: string, service: string) =>
  Effect.callback<void, ListenError>((resume) => {
    const at = address.lastIndexOf(":")
    const refused = (why: string) =>
      resume(Effect.fail(new ListenError({ message: `CD_${service.toUpperCase()}_HEALTH_LISTEN=${address}: ${why}` })))
    const port = Number(address.slice(at + 1))
    if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65_535) return refused("must be host:port")
    server.once("error", (error) => refused(error.message))
    server.listen(port, address.slice(0, at).replace(/^\[|\]$/g, ""), () => resume(Effect.void))
  })
