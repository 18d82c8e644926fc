/**
 * From an Authorization header to a caller, and what that caller may reach.
 *
 * Owns: telling keys from tokens, scopes, a token's origins. Deny by default. Leaves to handlers: whose objects. All refusals of a
 * credential look alike, whatever is wrong with it.
 */
import { Effect } from "effect"
import type { AccessRule } from "../api/Access.ts"
import { type ApiError, forbidden, fromDatabase, unauthorized } from "../http/ApiError.ts"
import type { Caller } from "./Caller.ts"
import type { Keys } from "./Keys.ts"
import type { WidgetTokens } from "./WidgetTokens.ts"

const bearer = /^bearer +([A-Za-z0-9._~+/=-]{1,4096})$/i

export const makeAuthenticate =
  (keys: Keys["Service"], tokens: WidgetTokens) =>
  (authorization: string | undefined): Effect.Effect<Caller, ApiError> => {
    const credential = authorization === undefined ? undefined : bearer.exec(authorization)?.[1]
    if (credential === undefined) return Effect.fail(unauthorized)
    if (credential.startsWith("sk_")) {
      return Effect.flatMap(Effect.mapError(keys.find(credential), fromDatabase), (caller) =>
        caller === undefined ? Effect.fail(unauthorized) : Effect.succeed(caller)
      )
    }
    return Effect.flatMap(
      Effect.mapError(tokens.read(credential), () => unauthorized),
      (caller) =>
        Effect.flatMap(Effect.mapError(keys.findById(caller.key_id), fromDatabase), (key) =>
          key === undefined || key.tenant_id !== caller.tenant_id ? Effect.fail(unauthorized) : Effect.succeed(caller)
        )
    )
  }

/** `origin` is the request's Origin header: a browser sends it, and then a token works from its application's pages only. */
export const authorise = (caller: Caller, rule: AccessRule, origin: string | undefined): ApiError | undefined => {
  if (caller.kind === "widget") {
    if (!rule.widget) return forbidden("a widget token can't do this")
    return origin === undefined || caller.origins.includes(origin) ? undefined : forbidden("this origin is not allowed for the application")
  }
  if (rule.scopes === "any" || rule.scopes.some((scope) => caller.scopes.has(scope))) return undefined
  return forbidden(`this needs the scope ${rule.scopes.join(" or ")}`)
}
