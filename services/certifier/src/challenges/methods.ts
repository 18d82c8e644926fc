/**
 * The ways in which control over a name is shown to a CA, and which of them the operator wants.
 *
 * Owns: their names (as in ACME and in `certificate.challenge`), the setting. Leaves to `chooseMethods.ts`: which one for a name.
 */
import { listOf, wrongSetting } from "@connect-domain/domain/Setting.ts"
import { Config, Effect } from "effect"

/** RFC 8555 §8.3, RFC 8737, RFC 8555 §8.4, draft-ietf-acme-dns-persist. */
export const methods = ["dns-persist-01", "http-01", "tls-alpn-01", "dns-01"] as const
export type Method = (typeof methods)[number]

export const isMethod = (text: string): text is Method => (methods as ReadonlyArray<string>).includes(text)

/** An edge answers it, so the name must lead to us. */
export const isEdgeMethod = (method: Method): boolean => method === "http-01" || method === "tls-alpn-01"

/** As written in sentences. */
export const labelOf = (method: Method): string => method.toUpperCase()

/**
 * The ACME challenges that may be used, comma-separated, the preferred one first: `dns-persist-01`, `http-01`, `tls-alpn-01`, `dns-01`. What
 * worked for a name goes before what was not tried yet, what failed behind it. Wildcards need one of the two DNS challenges. Default: all.
 */
export const AcmeChallenges = Config.String("CD_ACME_CHALLENGES").pipe(Config.withDefault("dns-persist-01,http-01,tls-alpn-01,dns-01"))

export const allowedMethods = Effect.flatMap(AcmeChallenges, (text): Effect.Effect<ReadonlyArray<Method>, Config.ConfigError> => {
  const named = [...new Set(listOf(text.toLowerCase()))]
  const wrong = named.find((name) => !isMethod(name))
  if (wrong !== undefined) return wrongSetting("CD_ACME_CHALLENGES", `${wrong} is not one of ${methods.join(", ")}`)
  return named.length === 0 ? wrongSetting("CD_ACME_CHALLENGES", "names no challenge") : Effect.succeed(named.filter(isMethod))
})
