/**
 * The limits that CAs publish, as data.
 *
 * Owns: the figures, what each is counted per. Leaves to `Budgets`: holding them for the whole fleet. A renewal that names what it replaces
 * (RFC 9773) is exempt from all of them at Let's Encrypt, so it is never counted here.
 * Built against: learning a CA's limit by running into it with ten thousand names.
 */
import { readFileSync } from "node:fs"
import { baseOf } from "@connect-domain/domain/Hostname.ts"
import { Config, ConfigProvider, Effect, Schema } from "effect"
import { getDomain } from "tldts"

export const Limit = Schema.Struct({
  name: Schema.String,
  /** `account`: all our orders at the CA; `registered-domain`: names under one registrable domain; `names`: one exact set; `name`: one. */
  per: Schema.Literals(["account", "registered-domain", "names", "name"]),
  /** What uses it up: placing an order, or a failed authorization. */
  counts: Schema.Literals(["orders", "failures"]),
  max: Schema.Int.check(Schema.isGreaterThan(0)),
  window_seconds: Schema.Int.check(Schema.isGreaterThan(0))
})
export type Limit = typeof Limit.Type

const hour = 3_600
const week = 604_800

/** https://letsencrypt.org/docs/rate-limits/, as of 2026-08. The limit per registered domain is shared with everybody else's accounts. */
export const letsEncryptLimits: ReadonlyArray<Limit> = [
  { name: "new-orders", per: "account", counts: "orders", max: 300, window_seconds: 3 * hour },
  { name: "certificates", per: "registered-domain", counts: "orders", max: 50, window_seconds: week },
  { name: "duplicates", per: "names", counts: "orders", max: 5, window_seconds: week },
  { name: "failed-authorizations", per: "name", counts: "failures", max: 5, window_seconds: hour }
]

/**
 * The limits to keep within: `auto` (default; Let's Encrypt's at Let's Encrypt, none elsewhere), `none`, `letsencrypt` (at every CA), or the
 * path of a JSON file with a list of `{name, per, counts, max, window_seconds}` for every CA.
 */
export const AcmeLimits = Config.String("CD_ACME_LIMITS").pipe(Config.withDefault("auto"))

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(Limit)))

/** Directory → its limits. */
export const limitsOf = Effect.gen(function* () {
  const setting = yield* AcmeLimits
  if (setting === "none") return (_: string): ReadonlyArray<Limit> => []
  if (setting === "letsencrypt") return () => letsEncryptLimits
  if (setting === "auto") return (directory: string) => (isLetsEncrypt(directory) ? letsEncryptLimits : [])
  const wrong = (detail: string) => Config.fail(new ConfigProvider.SourceError({ message: `CD_ACME_LIMITS: ${setting}: ${detail}` }))
  const text = yield* Effect.try({ try: () => readFileSync(setting, "utf8"), catch: String }).pipe(Effect.catch(wrong))
  const limits = yield* decode(text).pipe(Effect.catch((error) => wrong(error.message)))
  return () => limits
})

const isLetsEncrypt = (directory: string): boolean => URL.parse(directory)?.hostname === "acme-v02.api.letsencrypt.org"

/** What `limit` is counted under for a certificate of these names. */
export const keyFor = (limit: Limit, names: ReadonlyArray<string>): string => {
  const [first = ""] = names
  // A wildcard's domain, and the name that is proven for it, are those of what it hangs on.
  const base = baseOf(first)
  switch (limit.per) {
    case "account":
      return ""
    case "registered-domain":
      return getDomain(base, { allowPrivateDomains: true }) ?? base
    case "names":
      return [...names].sort().join(",")
    case "name":
      return base
  }
}
