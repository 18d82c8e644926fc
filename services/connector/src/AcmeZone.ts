/**
 * Our own zone for delegated `_acme-challenge` names, and the operator's credential for it.
 *
 * Owns: the settings, and the provider made from them once. Leaves what is written there to `answerChallenge.ts`. Built against: a zone that
 * customers are told to delegate to, and that can't be written when the first CA looks: the settings are all there and right, or the
 * process does not start.
 */
import { readAcmeZone } from "@connect-domain/domain/acmeZone.ts"
import { type Setting, secretSetting, setting, wrongSetting } from "@connect-domain/domain/Setting.ts"
import { addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import { Config, Context, Effect, Layer, Redacted, Result } from "effect"
import { makeReach } from "./Credentials.ts"
import { descriptorOf, registry } from "./providers/registry.ts"
import type { Through } from "./ZoneWriter.ts"

/** `CD_ACME_DNS_PROVIDER`: who runs `CD_ACME_DNS_ZONE`: a provider's key such as `rfc2136` or `powerdns`. Required with the zone. */
export const AcmeDnsProvider = Config.String("CD_ACME_DNS_PROVIDER").pipe(Config.withDefault(""))

/** `CD_ACME_DNS_CREDENTIAL`: the credential for `CD_ACME_DNS_ZONE` in the provider's form: a JSON object, or a bare token. Least rights: TXT records of that zone. Required with the zone. */
export const AcmeDnsCredential = Config.Redacted("CD_ACME_DNS_CREDENTIAL").pipe(Config.withDefault(Redacted.make("")))

export type OwnZone = { readonly zone: string; readonly through: Through }

export class AcmeZone extends Context.Service<AcmeZone, { /** Null when no zone is set up. */ readonly own: OwnZone | null }>()(
  "connector/AcmeZone"
) {
  static readonly layer = Layer.effect(
    AcmeZone,
    Effect.gen(function* () {
      const given = yield* read
      if (given === null) return AcmeZone.of({ own: null })
      const provider = given.descriptor.make(given.token, makeReach(yield* HttpClient, yield* addressPolicy))
      if (Result.isFailure(provider)) return yield* wrongSetting("CD_ACME_DNS_CREDENTIAL", provider.failure)
      return AcmeZone.of({ own: { zone: given.zone, through: { key: given.descriptor.key, provider: provider.success } } })
    })
  )
}

const parseToken = (text: string): unknown =>
  Result.getOrElse(
    Result.try(() => JSON.parse(text) as unknown),
    () => text
  )

const read = Effect.gen(function* () {
  const zone = yield* readAcmeZone
  if (zone === null) return null
  const descriptor = descriptorOf((yield* AcmeDnsProvider).trim())
  if (descriptor === undefined) return yield* wrongSetting("CD_ACME_DNS_PROVIDER", `must be one of ${Object.keys(registry).join(", ")}`)
  const text = Redacted.value(yield* AcmeDnsCredential)
  if (text === "") return yield* wrongSetting("CD_ACME_DNS_CREDENTIAL", "is required with CD_ACME_DNS_ZONE")
  return { zone, descriptor, token: parseToken(text) }
})

/** Nothing is reached while settings are checked: a provider made here is thrown away. */
const nowhere = { request: () => Effect.die("not while checking"), connect: () => Effect.die("not while checking") }
const readCredential = Effect.flatMap(read, (given) => {
  const made = given === null ? Result.succeed(null) : given.descriptor.make(given.token, nowhere)
  return Result.isFailure(made) ? wrongSetting("CD_ACME_DNS_CREDENTIAL", made.failure) : Effect.void
})

export const acmeZoneCredentialSettings: ReadonlyArray<Setting> = [
  setting("CD_ACME_DNS_PROVIDER", Effect.asVoid(read), "a provider's key such as rfc2136"),
  secretSetting("CD_ACME_DNS_CREDENTIAL", readCredential, "the credential in the provider's form, as JSON")
]
