/**
 * Cross-origin calls by the widget (requirement P12).
 *
 * Owns: preflight answers and CORS headers. An origin is named back only after it was found in some application's `allowed_origins`;
 * whether this token may be used from there is decided again with the token. No cookies are used, so credentials are never allowed.
 */
import type { Database } from "@connect-domain/database/Database.ts"
import { Cache, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { type ApiError, fromDatabase, notFound } from "./ApiError.ts"

export interface Cors {
  readonly preflight: (headers: Headers) => Effect.Effect<HttpServerResponse.HttpServerResponse, ApiError>
  /** Headers for any answer, errors included. */
  readonly headersFor: (origin: string | undefined) => Effect.Effect<Readonly<Record<string, string>>>
}
type Headers = Readonly<Record<string, string | undefined>>

const plain = { vary: "Origin" }

export const makeCors = (database: Database["Service"]): Effect.Effect<Cors> =>
  Effect.map(
    Cache.make({
      capacity: 1000,
      timeToLive: "10 seconds",
      lookup: (origin: string) =>
        Effect.map(
          database.query(
            (sql) => sql`select 1 as found from gateway.applications where deleted_at is null and allowed_origins ? ${origin} limit 1`
          ),
          (rows) => rows.length > 0
        )
    }),
    (known): Cors => ({
      preflight: (headers) => {
        const origin = headers.origin
        if (origin === undefined || headers["access-control-request-method"] === undefined) return Effect.fail(notFound)
        return Effect.flatMap(Effect.mapError(Cache.get(known, origin), fromDatabase), (allowed) =>
          allowed ? Effect.succeed(HttpServerResponse.empty({ status: 204, headers: preflightHeaders })) : Effect.fail(notFound)
        )
      },
      headersFor: (origin) =>
        origin === undefined || !/^https?:\/\/[A-Za-z0-9.:[\]-]{1,255}$/.test(origin)
          ? Effect.succeed(plain)
          : Cache.get(known, origin).pipe(
              Effect.orElseSucceed(() => false),
              Effect.map((allowed) =>
                allowed ? { ...plain, "access-control-allow-origin": origin, "access-control-expose-headers": exposed } : plain
              )
            )
    })
  )

const exposed = "X-Request-Id, Retry-After, ETag"
const preflightHeaders = {
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
  "access-control-max-age": "600"
}
