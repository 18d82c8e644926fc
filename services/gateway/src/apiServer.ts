/**
 * The public listener: every endpoint of the definition with its handler, behind the common pipeline.
 *
 * Owns: putting them together, limits of the HTTP server itself. Leaves to `http/serve.ts`: what happens to a request.
 */
import { createServer } from "node:http"
import { Database } from "@connect-domain/database/Database.ts"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Config, Effect } from "effect"
import { HttpMiddleware, HttpServer } from "effect/http"
import { Api } from "./api/Api.ts"
import { applicationHandlers } from "./applications/applicationHandlers.ts"
import { credentialHandlers } from "./applications/credentialHandlers.ts"
import { keyHandlers } from "./applications/keyHandlers.ts"
import { tokenHandlers } from "./applications/tokenHandlers.ts"
import { makeAuthenticate } from "./auth/authenticate.ts"
import { Keys } from "./auth/Keys.ts"
import { ApiCallMeter } from "./billing/ApiCallMeter.ts"
import { billingHandlers } from "./billing/billingHandlers.ts"
import { connectionHandlers } from "./connections/connectionHandlers.ts"
import { domainHandlers } from "./connections/domainHandlers.ts"
import { eventHandlers } from "./connections/eventHandlers.ts"
import { makeCors } from "./http/cors.ts"
import { bind } from "./http/Endpoint.ts"
import { listenError, parseListenAddress } from "./http/listenAddress.ts"
import { makeLimiter } from "./http/RateLimit.ts"
import { makeObserve } from "./http/requestMetrics.ts"
import { makeApp } from "./http/serve.ts"
import { Settings } from "./Settings.ts"
import { trafficHandlers } from "./traffic/trafficHandlers.ts"
import { webhookHandlers } from "./webhooks/webhookHandlers.ts"

/** `CD_API_LISTEN`: where the REST API is served, `host:port`. */
export const ApiListen = Config.String("CD_API_LISTEN").pipe(Config.withDefault("127.0.0.1:8080"))
export const apiAddress = Effect.flatMap(ApiListen, (text) => parseListenAddress("CD_API_LISTEN", text))

const allHandlers = Effect.gen(function* () {
  return {
    ...(yield* applicationHandlers),
    ...(yield* keyHandlers),
    ...(yield* tokenHandlers),
    ...(yield* credentialHandlers),
    ...(yield* domainHandlers),
    ...(yield* connectionHandlers),
    ...(yield* eventHandlers),
    ...(yield* webhookHandlers),
    ...(yield* billingHandlers),
    ...(yield* trafficHandlers)
  }
})

/** Slow clients: headers within 10 s, a whole request within 30 s; answers may take as long as they like (event streams). */
const makeServer = () => createServer({ headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000, maxHeaderSize: 16_384 })

/** Listens until the scope closes, finishing requests in flight; answers the port. */
export const apiServer = Effect.gen(function* () {
  const address = yield* apiAddress
  const settings = yield* Settings
  const database = yield* Database
  const keys = yield* Keys
  const meter = yield* ApiCallMeter
  const endpoints = bind(Api, yield* allHandlers)
  const app = yield* makeApp(endpoints, {
    authenticate: makeAuthenticate(keys, settings.tokens),
    limit: yield* makeLimiter,
    cors: yield* makeCors(database),
    meter: meter.count,
    observe: makeObserve()
  })
  const server = yield* NodeHttpServer.make(makeServer, {
    port: address.port,
    host: address.host,
    gracefulShutdownTimeout: "3 seconds"
  }).pipe(Effect.mapError((cause) => listenError(address, cause)))
  yield* HttpServer.serveEffect(app).pipe(
    Effect.provideService(HttpServer.HttpServer, server),
    // `serve.ts` makes the request's span, under the route's name.
    Effect.provideService(HttpMiddleware.TracerDisabledWhen, () => true)
  )
  return { port: "port" in server.address ? Number(server.address.port) : address.port }
})
