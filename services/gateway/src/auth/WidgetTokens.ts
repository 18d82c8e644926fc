/**
 * Widget tokens: what an end customer's browser holds instead of an API key (requirement P11).
 *
 * Owns: their claims, signing and checking. A token is bound to one application, to one host name or one end user, to the application's
 * allowed origins, and to the key that minted it. Leaves to `authenticate.ts`: the key still being good; to handlers: which objects are
 * its own. Fixed: algorithm HS256, typ, iss, aud; a `kid` picks the key of the ring, nothing else in the header is believed.
 */
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import type { KeyRing } from "@connect-domain/secrets/KeyRing.ts"
import { Data, Effect } from "effect"
import { jwtVerify, SignJWT } from "jose"
import type { WidgetCaller } from "./Caller.ts"

const issuer = "connect-domain"
const audience = "connect-domain/widget"
const type = "cd-widget+jwt"
const algorithm = "HS256"
/** Minutes. */
const lifetime = 60

export class TokenRefused extends Data.TaggedError("TokenRefused")<{ readonly cause: unknown }> {}

export interface WidgetTokens {
  readonly mint: (binding: Omit<WidgetCaller, "kind">) => Effect.Effect<{ readonly auth_token: string; readonly expires_at: string }>
  readonly read: (token: string) => Effect.Effect<WidgetCaller, TokenRefused>
}

const claimsOf = (binding: Omit<WidgetCaller, "kind">): Record<string, unknown> => ({
  tid: binding.tenant_id,
  app: binding.application_id,
  key: binding.key_id,
  origins: binding.origins,
  ...(binding.domain === undefined ? {} : { domain: binding.domain })
})

const text = (value: unknown): string => {
  if (typeof value !== "string" || value === "") throw new Error("claim is missing")
  return value
}
const optionalText = (value: unknown): string | undefined => (value === undefined ? undefined : text(value))

export const makeWidgetTokens = (ring: KeyRing): WidgetTokens => ({
  mint: (binding) =>
    Effect.promise(async () => {
      const expires = Math.floor(Date.now() / 1000) + lifetime * 60
      const token = new SignJWT(claimsOf(binding))
        .setProtectedHeader({ alg: algorithm, typ: type, kid: ring.first })
        .setIssuer(issuer)
        .setAudience(audience)
        .setJti(uuidv7())
        .setIssuedAt()
        .setExpirationTime(expires)
      if (binding.sub !== undefined) token.setSubject(binding.sub)
      return { auth_token: await token.sign(ring.keys.get(ring.first)!), expires_at: new Date(expires * 1000).toISOString() }
    }),
  read: (token) =>
    Effect.tryPromise({
      try: async () => {
        const { payload } = await jwtVerify(
          token,
          (header) => {
            const key = ring.keys.get(String(header.kid))
            if (key === undefined) throw new Error("unknown key id")
            return key
          },
          {
            algorithms: [algorithm],
            typ: type,
            issuer,
            audience,
            maxTokenAge: `${lifetime} minutes`,
            requiredClaims: ["exp", "iat", "jti"]
          }
        )
        const domain = optionalText(payload.domain)
        const sub = optionalText(payload.sub)
        if (domain === undefined && sub === undefined) throw new Error("bound to nothing")
        return {
          kind: "widget" as const,
          tenant_id: text(payload.tid),
          application_id: text(payload.app),
          key_id: text(payload.key),
          domain,
          sub,
          origins: Array.isArray(payload.origins) ? payload.origins.map(text) : []
        }
      },
      catch: (cause) => new TokenRefused({ cause })
    })
})
