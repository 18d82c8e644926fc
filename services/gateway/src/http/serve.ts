/**
 * What every call of the REST API goes through, in this order: match, authenticate, rate limit, authorise, decode, idempotency, handler,
 * answer. One place, so that no route can leave a step out.
 *
 * Owns: the order, the request id on every answer, errors as JSON. Leaves to each step's file: the step; to handlers: meaning.
 * The order matters: nothing is said about an object before the caller is known, nothing about fields to a caller without the scope.
 */

import { Database } from "@connect-domain/database/Database.ts"
import { DatabaseError } from "@connect-domain/database/DatabaseError.ts"
import { isUuid, uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { withRequestId } from "@connect-domain/telemetry/requestContext.ts"
import { Cause, Effect, Exit, Option, Result } from "effect"
import { HttpServerRequest, HttpServerResponse, HttpTraceContext } from "effect/http"
import { authorise } from "../auth/authenticate.ts"
import type { Caller } from "../auth/Caller.ts"
import { ApiError, errorBody, fromCall, fromDatabase, internal, invalid, notFound, statusOf } from "./ApiError.ts"
import type { Cors } from "./cors.ts"
import { parseQuery } from "./decodeInput.ts"
import { type Endpoint, Reply } from "./Endpoint.ts"
import { Idempotency } from "./Idempotency.ts"
import type { Limiter } from "./RateLimit.ts"
import { RouteTable } from "./RouteTable.ts"
import { readBody } from "./readBody.ts"

export interface Steps {
  readonly authenticate: (authorization: string | undefined) => Effect.Effect<Caller, ApiError>
  readonly limit: Limiter
  readonly cors: Cors
  /** Called once per authenticated request. */
  readonly meter: (tenantId: string) => void
  /** Called once per request. */
  readonly observe: (route: string, status: number, seconds: number) => Effect.Effect<void>
}

type Response = HttpServerResponse.HttpServerResponse
type Request = HttpServerRequest.HttpServerRequest

const baseHeaders = (requestId: string): Record<string, string> => ({
  "x-request-id": requestId,
  "cache-control": "no-store",
  "x-content-type-options": "nosniff"
})

const json = (status: number, body: string, headers: Readonly<Record<string, string>>): Response =>
  HttpServerResponse.text(body, { status, contentType: "application/json", headers })

/** The whole API as one effect per request. It never fails: every error is an answer. */
export const makeApp = (
  endpoints: ReadonlyArray<Endpoint>,
  steps: Steps
): Effect.Effect<Effect.Effect<Response, never, HttpServerRequest.HttpServerRequest>, never, Database | Idempotency> =>
  Effect.gen(function* () {
    const database = yield* Database
    const idempotency = yield* Idempotency
    const table = new RouteTable<Endpoint>()
    for (const endpoint of endpoints) table.add(endpoint.method, endpoint.path, endpoint)
    const pipeline = makePipeline(steps, idempotency, database)
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const started = performance.now()
      const requestId = uuidv7()
      const [path, search] = splitUrl(request.url)
      const match = table.find(request.method, path)
      const route = match?.route.name ?? "none"
      const work: Effect.Effect<Response, ApiError> =
        request.method === "OPTIONS"
          ? steps.cors.preflight(request.headers)
          : match === undefined
            ? Effect.fail(notFound)
            : pipeline(match.route, match.params, search, request, requestId)
      return work.pipe(
        Effect.exit,
        Effect.flatMap((exit) => (Exit.isSuccess(exit) ? Effect.succeed(exit.value) : refuse(exit.cause, requestId))),
        Effect.tap((response) => steps.observe(route, response.status, (performance.now() - started) / 1000)),
        Effect.flatMap((response) =>
          Effect.map(steps.cors.headersFor(request.headers.origin), (cors) =>
            HttpServerResponse.setHeaders(response, { ...baseHeaders(requestId), ...cors })
          )
        ),
        Effect.withSpan(`api ${route}`, {
          kind: "server",
          attributes: { "http.request.method": request.method, request_id: requestId },
          ...parentOf(request)
        }),
        withRequestId(requestId),
        annotateConnection(path, match?.params.id)
      )
    })
  })

/** A caller's trace goes on through everything that its request causes. */
const parentOf = (request: Request) => {
  const parent = Option.getOrUndefined(HttpTraceContext.fromHeaders(request.headers))
  return parent === undefined ? {} : { parent }
}

/** Log lines of calls on one connection carry its id. */
const annotateConnection =
  (path: string, id: string | undefined) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    id !== undefined && path.startsWith("/v1/connections/") ? Effect.annotateLogs(effect, "connection_id", id) : effect

const splitUrl = (url: string): readonly [string, string] => {
  const question = url.indexOf("?")
  return question < 0 ? [url, ""] : [url.slice(0, question), url.slice(question + 1)]
}

const makePipeline =
  (steps: Steps, idempotency: Idempotency["Service"], database: Database["Service"]) =>
  (endpoint: Endpoint, params: Readonly<Record<string, string>>, search: string, request: Request, requestId: string) =>
    Effect.gen(function* () {
      const caller = yield* steps.authenticate(request.headers.authorization)
      steps.meter(caller.tenant_id)
      yield* steps.limit(caller.key_id)
      const denial = authorise(caller, endpoint.access, request.headers.origin)
      if (denial !== undefined) return yield* denial
      if (!Object.values(params).every(isUuid)) return yield* notFound
      const body = endpoint.decodeBody === undefined ? undefined : yield* readBody(request)
      const decoded = decode(endpoint, search, body?.value, caller)
      if (Result.isFailure(decoded)) return yield* invalid(...decoded.failure)
      const run = (plannedId: string) =>
        perform(endpoint, { caller, params, ...decoded.success, requestId, plannedId, headers: request.headers })
      const key = request.headers["idempotency-key"]
      if (endpoint.creates === undefined) return yield* Effect.map(run(uuidv7()), toResponse)
      // A caller who hangs up does not stop what has begun: half a creation helps nobody.
      if (key === undefined) return yield* Effect.uninterruptible(Effect.map(inTransaction(endpoint, database, run(uuidv7())), toResponse))
      const route = `${request.method} ${splitUrl(request.url)[0]}`
      return yield* Effect.uninterruptible(
        once(endpoint, idempotency, database, run, [caller.tenant_id, route, key, body?.text ?? ""], requestId)
      )
    })

/** Query and body together, so that one answer names every wrong field. */
const decode = (endpoint: Endpoint, search: string, body: unknown, caller: Caller) => {
  const query = Result.flatMap(parseQuery(search), endpoint.decodeQuery)
  const payload = endpoint.decodeBody === undefined ? Result.succeed({}) : endpoint.decodeBody(body)
  const fields = typeof body === "object" && body !== null && !Array.isArray(body) ? (body as Record<string, unknown>) : undefined
  const problems = [
    ...(Result.isFailure(query) ? query.failure : []),
    ...(Result.isFailure(payload) ? payload.failure : []),
    ...(fields === undefined ? [] : (endpoint.check?.(fields, caller) ?? []))
  ]
  return problems.length > 0 || Result.isFailure(query) || Result.isFailure(payload)
    ? Result.fail(problems)
    : Result.succeed({ query: query.success, body: payload.success })
}

interface Performed {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  /** An answer that is not JSON from memory: a stream. */
  readonly raw?: Response
}

const toResponse = (performed: Performed): Response =>
  performed.raw ??
  (performed.status === 204
    ? HttpServerResponse.empty({ status: 204, headers: performed.headers })
    : json(performed.status, performed.body, performed.headers))

const perform = (endpoint: Endpoint, input: Parameters<Endpoint["handle"]>[0]): Effect.Effect<Performed, ApiError> =>
  Effect.flatMap(
    Effect.mapError(
      Effect.suspend(() => endpoint.handle(input)),
      translate
    ),
    (answer) => {
      if (HttpServerResponse.isHttpServerResponse(answer))
        return Effect.succeed({ status: answer.status, body: "", headers: {}, raw: answer })
      const [value, headers] = answer instanceof Reply ? [answer.value, answer.headers] : [answer, {}]
      if (endpoint.status === 204) return Effect.succeed({ status: 204, body: "", headers })
      const encoded = endpoint.encode(value)
      return Result.isSuccess(encoded)
        ? Effect.succeed({ status: endpoint.status, body: JSON.stringify(encoded.success), headers })
        : Effect.fail(internal(encoded.failure))
    }
  )

const translate = (error: unknown): ApiError =>
  error instanceof ApiError
    ? error
    : error instanceof CallError
      ? fromCall(error)
      : error instanceof DatabaseError
        ? fromDatabase(error)
        : internal(error)

/** For a creation in our own tables: its effect and whatever goes with it commit together. */
const inTransaction = (endpoint: Endpoint, database: Database["Service"], effect: Effect.Effect<Performed, ApiError>) =>
  endpoint.creates === "here" ? Effect.mapError(database.transaction(effect), translate) : effect

const once = (
  endpoint: Endpoint,
  idempotency: Idempotency["Service"],
  database: Database["Service"],
  run: (plannedId: string) => Effect.Effect<Performed, ApiError>,
  [tenantId, route, key, body]: readonly [string, string, string, string],
  requestId: string
): Effect.Effect<Response, ApiError> =>
  Effect.gen(function* () {
    const begun = yield* idempotency.begin(tenantId, route, key, body)
    if ("answer" in begun) {
      const { status, body, etag } = begun.answer
      return json(status, body, { ...(etag === null ? {} : { etag }), "idempotency-replayed": "true" })
    }
    const { ticket } = begun
    const keep = (performed: Performed) =>
      Effect.as(
        Effect.mapError(idempotency.finish(ticket, { ...performed, etag: performed.headers.etag ?? null }), fromDatabase),
        performed
      )
    const work = inTransaction(endpoint, database, Effect.flatMap(run(ticket.plannedId), keep))
    const exit = yield* Effect.exit(work)
    if (Exit.isSuccess(exit)) return toResponse(exit.value)
    const refusal = exit.cause.reasons.find(Cause.isFailReason)?.error
    const status = refusal === undefined ? 500 : statusFor(refusal)
    if (refusal === undefined || status >= 500 || refusal.code === "rate_limited") {
      yield* idempotency.release(ticket)
      return yield* Effect.failCause(exit.cause)
    }
    const answer = { status, body: JSON.stringify(errorBody(refusal, requestId)), headers: refusal.headers ?? {} }
    return toResponse(yield* keep(answer))
  })

const statusFor = (error: ApiError): number => error.status ?? statusOf[error.code]

/** Any failure as an answer. Defects and internal errors go to the log with their cause; the caller gets the request id to quote. */
const refuse = (cause: Cause.Cause<ApiError>, requestId: string): Effect.Effect<Response> => {
  const found = cause.reasons.find(Cause.isFailReason)?.error
  const error = found ?? internal(cause)
  const status = statusFor(error)
  const response = json(status, JSON.stringify(errorBody(error, requestId)), error.headers ?? {})
  if (Cause.hasInterruptsOnly(cause)) return Effect.succeed(response)
  if (status === 500) return Effect.as(Effect.logError("request failed", found === undefined ? cause : found.cause), response)
  return status > 500
    ? Effect.as(Effect.logWarning(`${error.code}: ${String((error.cause as Error | undefined)?.message ?? "")}`), response)
    : Effect.succeed(response)
}
