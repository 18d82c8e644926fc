/**
 * Where an answer to a CA's DNS challenge has to stand: at `_acme-challenge.<hostname>` itself, or where the customer delegated that name to.
 *
 * Owns: following aliases up to our own zone, at every authoritative server, and the rule whose label may be followed. Leaves writing to
 * `answerChallenge.ts`. Built against: a CNAME to another tenant's label (labels stand in the DNS for all to read): it is never followed.
 */
import type { NoAuthority } from "@connect-domain/dns/Authorities.ts"
import { type Answered, answersIn, Resolver } from "@connect-domain/dns/Resolver.ts"
import { acmeChallengeName, delegationTarget } from "@connect-domain/domain/acmeNames.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"

export type Place = {
  readonly name: string
  /** Where its aliases lead; null when it is none. */
  readonly cname: string | null
  readonly kind: "plain" | "elsewhere" | "delegated" | "anothers"
}

const longestChain = 8
const unavailable = (message: string) => new CallError({ code: "unavailable", message })

const answersOf = (name: string) =>
  Effect.map(
    Effect.flatMap(Resolver, (resolver) => resolver.ask(name, "TXT")),
    answersIn
  )

/** `zone`: our own, if one is set up. Errors: `unavailable` (nobody answers), `not_yet` (its servers disagree). */
export const findPlace = Effect.fn("connector.challengePlace")(function* (tenantId: string, hostname: string, zone: string | null) {
  const name = acmeChallengeName(hostname)
  const target = zone === null ? null : delegationTarget(tenantId, hostname, zone)
  let cname: string | null = null
  for (let hops = 0; hops < longestChain; hops++) {
    const at: string = cname ?? name
    const answered: ReadonlyArray<Answered> = yield* answersOf(at).pipe(
      // Somebody else's servers, somewhere along the chain: what matters is that it does not lead to us.
      Effect.catchTag("NoAuthority", (error: NoAuthority) => (hops > 0 ? Effect.succeed([]) : Effect.fail(unavailable(error.message))))
    )
    if (answered.length === 0 && hops === 0) return yield* unavailable(`none of the name servers of ${at} answers`)
    const aliases: ReadonlyArray<string | null> = [...new Set(answered.map(({ alias }) => alias))]
    if (aliases.length > 1) return yield* new CallError({ code: "not_yet", message: `the name servers of ${at} don't agree yet` })
    const alias = aliases[0] ?? null
    if (alias === null) break
    cname = alias
    if (cname === target) return { name, cname, kind: "delegated" } satisfies Place as Place
    if (zone !== null && (cname === zone || cname.endsWith(`.${zone}`))) return { name, cname, kind: "anothers" } satisfies Place as Place
  }
  return { name, cname, kind: cname === null ? "plain" : "elsewhere" } satisfies Place as Place
})
