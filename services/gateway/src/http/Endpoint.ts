/**
 * An endpoint with its handler: the definition says what goes in and out, the handler what it means.
 *
 * Owns: the handler's type, derived from the definition, and the marriage of both. A handler gets decoded input and a caller whose right
 * to call was checked; it fails with `ApiError`, or with a database's or another service's error that is translated in one place.
 */
import type { DatabaseError } from "@connect-domain/database/DatabaseError.ts"
import type { CallError } from "@connect-domain/nats/Calls.ts"
import { Context, type Effect, type Result, Schema } from "effect"
import type { HttpServerResponse } from "effect/http"
import { HttpApi, type HttpApiEndpoint, type HttpApiGroup } from "effect/http-api"
import { Access, type AccessRule, Creates } from "../api/Access.ts"
import type { Api } from "../api/Api.ts"
import type { Caller } from "../auth/Caller.ts"
import type { ApiError, FieldProblem } from "./ApiError.ts"
import { type Decoder, makeDecoder } from "./decodeInput.ts"

type TypeOf<S> = [S] extends [never] ? Record<never, never> : S extends Schema.Top ? S["Type"] : never

export interface Input<E> {
  readonly caller: Caller
  readonly params: TypeOf<HttpApiEndpoint.Params<E>>
  readonly query: TypeOf<HttpApiEndpoint.Query<E>>
  readonly body: TypeOf<HttpApiEndpoint.Payload<E>>
  readonly requestId: string
  /** For a creating call: the new object's id, the same at each repetition under one Idempotency-Key. */
  readonly plannedId: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** A success with headers of its own. */
export class Reply<A> {
  readonly value: A
  readonly headers: Readonly<Record<string, string>>
  constructor(value: A, headers: Readonly<Record<string, string>>) {
    this.value = value
    this.headers = headers
  }
}

type Success<E> = TypeOf<HttpApiEndpoint.Success<E>>
export type HandlerError = ApiError | DatabaseError | CallError
export type Handle<E> = (
  input: Input<E>
) => Effect.Effect<Success<E> | Reply<Success<E>> | HttpServerResponse.HttpServerResponse, HandlerError>

/** `check` judges what the schema can't, on the raw body, so that its problems are reported together with the schema's. */
export type Handler<E> =
  | Handle<E>
  | {
      readonly handle: Handle<E>
      readonly check: (body: Readonly<Record<string, unknown>>, caller: Caller) => ReadonlyArray<FieldProblem>
    }

export type Handlers<G extends HttpApiGroup.Constraint> = {
  readonly [E in HttpApiGroup.Endpoints<G> as HttpApiEndpoint.Identifier<E>]: Handler<E>
}

export interface Endpoint {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly access: AccessRule
  readonly creates: "here" | "elsewhere" | undefined
  readonly status: number
  /** To the wire form; strips what the contract does not show. */
  readonly encode: (value: unknown) => Result.Result<unknown, Schema.SchemaError>
  readonly decodeQuery: Decoder
  readonly decodeBody: Decoder | undefined
  // biome-ignore lint/suspicious/noExplicitAny: one list holds endpoints of every type; `bind` checked each
  readonly handle: Handle<any>
  readonly check: ((body: Readonly<Record<string, unknown>>, caller: Caller) => ReadonlyArray<FieldProblem>) | undefined
}

const none = Schema.Struct({})

/**
 * Every endpoint of an API with its handler. Throws for one without a handler or without an access rule: nothing is open by omission,
 * nothing is declared and not served.
 */
// biome-ignore lint/suspicious/noExplicitAny: each group's handlers were checked against its definition by `Handlers`
export const bind = (api: typeof Api, handlers: Readonly<Record<string, Handler<any>>>): ReadonlyArray<Endpoint> => {
  const endpoints: Array<Endpoint> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, successes }) => {
      const access = Context.getOrUndefined(endpoint.annotations as Context.Context<Access>, Access)
      const handler = handlers[endpoint.identifier]
      if (access === undefined || handler === undefined) throw new Error(`${endpoint.identifier} lacks an access rule or a handler`)
      const payload = endpoint.method === "GET" ? undefined : [...endpoint.payload.values()][0]?.schemas[0]
      endpoints.push({
        name: endpoint.identifier,
        method: endpoint.method,
        path: endpoint.path,
        access,
        creates: Context.getOrUndefined(endpoint.annotations as Context.Context<Creates>, Creates),
        status: [...successes.keys()][0]!,
        encode: Schema.encodeUnknownResult([...endpoint.success][0] as Schema.Codec<unknown>),
        decodeQuery: makeDecoder(endpoint.query ?? none, "query"),
        decodeBody: payload === undefined ? undefined : makeDecoder(payload, "body"),
        handle: typeof handler === "function" ? handler : handler.handle,
        check: typeof handler === "function" ? undefined : handler.check
      })
    }
  })
  return endpoints
}
