/**
 * `domains:check`: what a domain is, where its DNS is, how it can be connected, and what is in the way.
 *
 * Owns: one call. Leaves detection to `knownProviders.ts`, the findings to `preflight.ts`. Nothing is written, nothing is remembered.
 */
import { Resolver } from "@connect-domain/dns/Resolver.ts"
import { apexOf, baseOf, isWildcard, kindOf } from "@connect-domain/domain/Hostname.ts"
import { checkDomain } from "@connect-domain/messages/connector.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Layer } from "effect"
import { AcmeZone } from "./AcmeZone.ts"
import { detectProvider, type KnownProvider } from "./knownProviders.ts"
import { CaaIssuers, preflight } from "./preflight.ts"
import { descriptorOf } from "./providers/registry.ts"
import { wildcardCapability, wildcardFinding } from "./wildcardCapability.ts"

type Question = (typeof checkDomain)["payload"]["Type"]
type Answer = (typeof checkDomain)["success"]["Type"]

const noServer = (detail: string) => new CallError({ code: "unavailable", message: `the domain's name servers can't be asked: ${detail}` })

export const domainCheck = Layer.effectDiscard(
  Effect.gen(function* () {
    const calls = yield* Calls
    const issuers = yield* CaaIssuers
    const { own } = yield* AcmeZone
    yield* calls.serve(checkDomain, (question) => check(question, issuers, own?.zone ?? null))
  })
)

const check = Effect.fn("connector.checkDomain")(function* (question: Question, issuers: ReadonlyArray<string>, ownZone: string | null) {
  const { hostname, planned, credentials } = question
  const resolver = yield* Resolver
  const { zone, nameServers } = yield* Effect.mapError(resolver.zone(baseOf(hostname)), (error) => noServer(error.message))
  const apex = apexOf(hostname) ?? hostname
  const registered = zone === apex || zone.endsWith(`.${apex}`)
  const { conflicts, findings } = yield* preflight(hostname, zone, planned, issuers)
  const provider = registered ? detectProvider(nameServers) : undefined
  const usable = credentials.filter((key) => descriptorOf(key) !== undefined)
  const wildcard = yield* wildcardCapability({ hostname, provider, usable, ownZone, lasting: question.lasting === true })
  const missing = {
    code: "zone_not_found",
    severity: "error" as const,
    message: `${apex} has no name servers; register it, or set its name servers, first`
  }
  const answer: Answer = {
    hostname,
    apex,
    kind: kindOf(hostname),
    zone: registered ? zone : null,
    name_servers: registered ? nameServers : [],
    provider: provider === undefined ? null : { key: provider.key, name: provider.name, detected_by: "name_servers" },
    setup_types: setupTypes(provider, usable),
    capabilities: { wildcard: wildcard.possible, apex_alias: provider?.apexAlias ?? false, automatic: credentials.length > 0 },
    capability_reasons: { wildcard: wildcard.why },
    apex_flattening: provider?.apexAlias ?? false,
    www_redirect_recommended: kindOf(hostname) === "apex" && !(provider?.apexAlias ?? false),
    conflicts,
    findings: [...(registered ? [] : [missing]), ...(isWildcard(hostname) ? wildcardFinding(wildcard) : []), ...findings]
  }
  return answer
})

/** Each way with the reason why it is offered or not. */
const setupTypes = (provider: KnownProvider | undefined, usable: ReadonlyArray<string>): Answer["setup_types"] => {
  const named = provider?.name ?? "this domain's DNS provider"
  const tokens = provider !== undefined && descriptorOf(provider.key) !== undefined
  const automatic = usable.length > 0
  return [
    {
      type: "automatic",
      offered: automatic,
      reason: automatic ? "the application holds a DNS credential" : "the application holds no DNS credential"
    },
    {
      type: "semiautomatic",
      offered: tokens,
      reason: tokens ? `a token of ${named} lets us write the records` : `writing at ${named} with a token is not available`
    },
    { type: "manual", offered: true, reason: "the records can be copied by hand" },
    { type: "shared_login", offered: true, reason: "a link hands the remaining steps to a colleague" },
    { type: "async", offered: false, reason: `${named} has no template of ours for Domain Connect` },
    { type: "api", offered: true, reason: "the vendor's backend can drive the connection" }
  ]
}
