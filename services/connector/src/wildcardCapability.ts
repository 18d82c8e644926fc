/**
 * Would `*.x` work? A wildcard needs a record that its DNS can hold, and a certificate, which CAs give for a proof in the DNS only.
 *
 * Owns: the answer and its reason. Leaves proving to the certifier. Built against: a wildcard that is sold, set up and never gets HTTPS.
 */
import { acmeChallengeName, acmePersistName } from "@connect-domain/domain/acmeNames.ts"
import { baseOf } from "@connect-domain/domain/Hostname.ts"
import type { Finding } from "@connect-domain/messages/connector.ts"
import { Effect } from "effect"
import { findPlace } from "./challengePlace.ts"
import type { KnownProvider } from "./knownProviders.ts"

export type WildcardCapability = { readonly possible: boolean; readonly why: string }

type Circumstances = {
  readonly hostname: string
  readonly provider: KnownProvider | undefined
  /** Keys of the application's providers that can write. */
  readonly usable: ReadonlyArray<string>
  readonly ownZone: string | null
  /** A CA accepts a lasting TXT record. */
  readonly lasting: boolean
}

/** For a plain name: whether its wildcard would work, as far as nothing at its names stands against it. */
export const wildcardCapability = Effect.fnUntraced(function* (given: Circumstances) {
  const { hostname, provider, usable, ownZone, lasting } = given
  const base = baseOf(hostname)
  const name = acmeChallengeName(base)
  if (provider?.wildcard === false) return no(`${provider.name} can't hold a wildcard record`)
  // Which tenant's label does not matter here: an alias elsewhere is in the way of every one.
  const place = hostname === base ? undefined : yield* Effect.option(findPlace("", base, ownZone))
  const elsewhere = place?._tag === "Some" && place.value.kind === "elsewhere"
  if (usable.length > 0 && !elsewhere) return yes(`the application's DNS credential lets us prove ${base} to a certificate authority`)
  if (lasting) return yes(`a TXT record at ${acmePersistName(base)}, set once, proves ${base} to a certificate authority`)
  if (ownZone !== null && !elsewhere)
    return yes(`an alias at ${name} into our zone, set once, lets us prove ${base} to a certificate authority`)
  if (elsewhere)
    return no(`${name} is an alias of ${place.value.cname}, so neither we nor a certificate authority can use it; remove it first`)
  return no(
    "a wildcard's certificate needs a proof in the DNS: give the application a DNS credential, or ask the operator to set up a zone for delegated challenges"
  )
})

const yes = (why: string): WildcardCapability => ({ possible: true, why })
const no = (why: string): WildcardCapability => ({ possible: false, why })

export const wildcardFinding = ({ possible, why }: WildcardCapability): ReadonlyArray<typeof Finding.Type> => [
  possible
    ? { code: "wildcard_possible", severity: "info", message: why }
    : { code: "wildcard_impossible", severity: "error", message: why }
]
