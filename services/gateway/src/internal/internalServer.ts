/**
 * The second listener, for the operator's network only: ask, health, readiness, metrics.
 *
 * Owns: those four paths. `/internal/ask` is answered from memory and works as Caddy's `on_demand_tls ask`. Built on node:http: it must
 * answer when everything else is in trouble.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Readiness } from "@connect-domain/telemetry/Readiness.ts"
import { metricsText } from "@connect-domain/telemetry/Telemetry.ts"
import { Config, Effect } from "effect"
import { type ListenAddress, type ListenError, listenError, parseListenAddress } from "../http/listenAddress.ts"
import { HeldHostnames } from "./HeldHostnames.ts"

/** `CD_INTERNAL_LISTEN`: where `/internal/ask`, `/healthz`, `/readyz` and `/metrics` are served. Never expose it. */
export const InternalListen = Config.String("CD_INTERNAL_LISTEN").pipe(Config.withDefault("127.0.0.1:8081"))
export const internalAddress = Effect.flatMap(InternalListen, (text) => parseListenAddress("CD_INTERNAL_LISTEN", text))

const json = "application/json"
const notFound = {
  status: 404,
  type: json,
  body: '{"error":{"code":"not_found","message":"no such path","details":null,"request_id":null}}'
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Listens until the scope closes; answers the port. */
export const internalServer = Effect.gen(function* () {
  const address = yield* internalAddress
  const held = yield* HeldHostnames
  const { report } = yield* Readiness
  const context = yield* Effect.context<never>()
  const ask = (query: URLSearchParams): Answer => {
    const domain = query.get("domain")
    const allow = domain === null ? false : held.holds(domain)
    if (allow === undefined) return { status: 503, type: json, body: '{"allow":false}' }
    return { status: allow ? 200 : 403, type: json, body: `{"allow":${allow}}` }
  }
  const answer = (request: IncomingMessage): Effect.Effect<Answer> => {
    const url = URL.parse(request.url ?? "/", "http://internal")
    if (request.method !== "GET" || url === null) return Effect.succeed(notFound)
    if (url.pathname === "/internal/ask") return Effect.sync(() => ask(url.searchParams))
    if (url.pathname === "/healthz") return Effect.succeed({ status: 200, type: json, body: '{"ok":true}' })
    if (url.pathname === "/readyz") {
      return Effect.map(report, (state) => ({ status: state.ready ? 200 : 503, type: json, body: JSON.stringify(state) }))
    }
    if (url.pathname === "/metrics") return Effect.map(metricsText, (body) => ({ status: 200, type: "text/plain; version=0.0.4", body }))
    return Effect.succeed(notFound)
  }
  return yield* listen(address, (request, response) =>
    Effect.runPromiseWith(context)(answer(request)).then(
      ({ status, type, body }) => void response.writeHead(status, { "content-type": type }).end(body),
      () => void response.writeHead(500).end()
    )
  )
})

const listen = (address: ListenAddress, handle: (request: IncomingMessage, response: ServerResponse) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>, ListenError>((resume) => {
        const server = createServer(handle)
        server.once("error", (error) => resume(Effect.fail(listenError(address, error))))
        server.listen(address.port, address.host, () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    ),
    (server) => ({ port: (server.address() as AddressInfo).port })
  )
