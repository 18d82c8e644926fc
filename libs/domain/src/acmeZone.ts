/**
 * The zone of ours that customers may delegate `_acme-challenge` to.
 *
 * Owns: the setting and its check, for all who put the zone's name into records. Leaves how the zone is written to the connector. Built
 * against: a zone above the edge's name or a public suffix, where an answer to a CA would be an answer for somebody else's name too.
 */
import { Config, Effect, Result } from "effect"
import { apexOf, isWildcard, parseHostname } from "./Hostname.ts"
import { setting, wrongSetting } from "./Setting.ts"

/** `CD_ACME_DNS_ZONE`: a zone of ours, used for nothing else, that customers may point `_acme-challenge` CNAMEs into, so that certificates can be had (wildcards, before cut-over) without touching their DNS again. Default: none. */
export const AcmeDnsZone = Config.String("CD_ACME_DNS_ZONE").pipe(Config.withDefault(""))

/** The zone's name in canonical form; null when none is set up. */
export const readAcmeZone = Effect.gen(function* () {
  const text = (yield* AcmeDnsZone).trim()
  if (text === "") return null
  const parsed = parseHostname(text)
  if (Result.isFailure(parsed)) return yield* wrongSetting("CD_ACME_DNS_ZONE", parsed.failure.message)
  const name: string = parsed.success
  if (isWildcard(name) || apexOf(name) === undefined) {
    return yield* wrongSetting("CD_ACME_DNS_ZONE", "is not the name of a zone of ours")
  }
  return name
})

export const acmeZoneSettings = [
  setting("CD_ACME_DNS_ZONE", readAcmeZone, "the name of a zone of yours such as acme.example.com, or nothing")
]
