/**
 * Looks at a name's DNS before an order is placed (A7): which CAs may issue, and how can control be shown to each?
 *
 * Owns: asking the connector, what stands in for it when it is away, the finding that forbids the order. Leaves to `findings.ts` the words, to
 * `challenges/chooseMethods.ts` the choice. Built against: orders that can only fail (each counts at the CA), and the other way round: a
 * look that failed must not stop a renewal.
 */
import type { CaaIssuer } from "@connect-domain/dns/caa.ts"
import { isWildcard } from "@connect-domain/domain/Hostname.ts"
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import { lookCaa, lookChallenge, observeRecords } from "@connect-domain/messages/connector.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Clock, Context, Data, Effect, Layer, Option } from "effect"
import type { CertificateAuthority } from "./CertificateAuthority.ts"
import type { Claim } from "./Claim.ts"
import type { ClaimMemory } from "./challenges/ChallengeMemory.ts"
import { ChallengeTexts } from "./challenges/ChallengeTexts.ts"
import { type Choice, type Chosen, chooseMethods, type NameFacts } from "./challenges/chooseMethods.ts"
import { allowedMethods, isEdgeMethod } from "./challenges/methods.ts"
import { isAccepted } from "./challenges/persistRecords.ts"
import {
  caaFinding,
  caaUnclear,
  closedFinding,
  type DnsView,
  leadingRecords,
  mayIssue,
  noChallengeView,
  targetFinding,
  wildcardFinding
} from "./findings.ts"
import { LiveEdges } from "./LiveEdges.ts"
import type { FailureKind } from "./retryLadder.ts"

/** No order was placed. `message` is for the customer. */
export class PreflightFailed extends Data.TaggedError("PreflightFailed")<{
  readonly kind: Extract<FailureKind, "blocked" | "unavailable" | "edgeless">
  readonly message: string
}> {}

/** How long remembered CAA records are good for when nobody can look: what CAs themselves may do (Baseline Requirements 3.2.2.8). */
const rememberedMillis = 8 * 3_600_000

/** A CA that may issue, and the ways that are open there; none for a CA that wants no proof. */
export interface Permitted {
  readonly authority: CertificateAuthority
  readonly choices: ReadonlyArray<Choice>
}

export interface Circumstances {
  /** What is not known forbids nothing. */
  readonly urgent: boolean
  /** Edges have a certificate to serve the name with. */
  readonly served: boolean
  /** An order is placed already: nothing forbids it any more. */
  readonly underWay: boolean
}

type Asked = Pick<Claim, "claim_id" | "connection_id" | "tenant_id" | "hostname" | "records" | "caa" | "caa_looked_at">

export class Preflight extends Context.Service<
  Preflight,
  {
    /** What the DNS says now. Never fails: what nobody could look at is undefined. */
    readonly look: (claim: Pick<Asked, "connection_id" | "tenant_id" | "hostname" | "records">) => Effect.Effect<DnsView>
    /** The CAs of `all` that may issue for the claim, in that order, at least one. */
    readonly permitted: (
      claim: Asked,
      view: DnsView,
      all: ReadonlyArray<CertificateAuthority>,
      circumstances: Circumstances,
      memory: ClaimMemory
    ) => Effect.Effect<ReadonlyArray<Permitted>, PreflightFailed>
  }
>()("certifier/Preflight") {
  static readonly layer = Layer.effect(
    Preflight,
    Effect.suspend(() => make)
  )
}

/** One CA judged: what is open there, and what would be if CAA allowed everything. */
interface Judged {
  readonly authority: CertificateAuthority
  readonly issuer: CaaIssuer
  readonly chosen: Chosen
  readonly possible: Chosen
}

const nobody: CaaIssuer = { identities: [], accountUri: undefined, method: "" }

const make = Effect.gen(function* () {
  const [calls, edges, texts] = [yield* Calls, yield* LiveEdges, yield* ChallengeTexts]
  const allowed = yield* allowedMethods
  const usesDns = allowed.includes("dns-01") || allowed.includes("dns-persist-01")

  const look: Preflight["Service"]["look"] = Effect.fnUntraced(function* ({ connection_id, tenant_id, hostname, records }) {
    // Where a wildcard leads decides nothing: it is proven in the DNS alone.
    const leading = isWildcard(hostname) ? [] : leadingRecords(hostname, records ?? [])
    const asked = <A, E>(call: Effect.Effect<A, E>) => Effect.orElseSucceed(call, () => undefined)
    const [caa, target, challenge, credentials] = yield* Effect.all(
      [
        asked(calls.request(lookCaa, { hostname })),
        leading.length === 0 ? Effect.undefined : asked(calls.request(observeRecords, { hostname, records: leading })),
        usesDns ? asked(calls.request(lookChallenge, { tenant_id, hostname })) : Effect.succeed(noChallengeView),
        allowed.includes("dns-01") ? asked(texts.credentials(connection_id)) : Effect.undefined
      ],
      { concurrency: "unbounded" }
    )
    if (caa === undefined) yield* Effect.logInfo("nobody looks at the DNS for us; going by what is remembered", { hostname })
    return { caa, target, challenge, credentials: credentials ?? [] }
  })

  const judge = Effect.fnUntraced(function* (
    claim: Asked,
    name: NameFacts,
    view: DnsView,
    caa: CaaAnswer | undefined,
    authority: CertificateAuthority,
    memory: ClaimMemory
  ) {
    // A CA that is away can't say its names: the order will find out.
    const issuer = Option.getOrElse(yield* Effect.option(authority.caa), () => nobody)
    const offers = yield* authority.offers
    const now = yield* Clock.currentTimeMillis
    // What was seen under another account of ours says nothing about records.
    const terms = offers !== undefined && offers.accountUri === (issuer.accountUri ?? offers.accountUri) ? offers : undefined
    const facts = {
      offers: offers === undefined ? undefined : new Set(offers.methods),
      persists: terms !== undefined && (view.challenge?.persist ?? []).some((value) => isAccepted(value, claim.hostname, terms, now)),
      memory: memory.at(authority.directory)
    }
    const possible = chooseMethods(allowed, name, { ...facts, allows: () => true })
    const allows = (method: string) => mayIssue(claim.hostname, caa, { ...issuer, method }).allowed
    const judged: Judged = { authority, issuer, possible, chosen: chooseMethods(allowed, name, { ...facts, allows }) }
    return judged
  })

  /** An edge is waited for where nothing but edges could answer. */
  const edgesFor = (claim: Asked, view: DnsView) =>
    view.credentials.length > 0 || view.challenge?.delegated === true || isWildcard(claim.hostname)
      ? Effect.map(edges.connected, (connected) => connected.length > 0)
      : edges.awaitConnected

  const permitted: Preflight["Service"]["permitted"] = Effect.fnUntraced(function* (claim, view, all, circumstances, memory) {
    const { urgent, served, underWay } = circumstances
    const { hostname } = claim
    const proofless = all.filter(({ needsProof }) => !needsProof).map((authority) => ({ authority, choices: [] }))
    const asking = all.filter(({ needsProof }) => needsProof)
    const caa = underWay ? undefined : (view.caa ?? (yield* remembered(claim)))
    const name: NameFacts = {
      ...{ hostname, served, credential: view.credentials.length > 0, delegated: view.challenge?.delegated ?? false },
      leads: leadsTo(view, underWay),
      edges: underWay || asking.length === 0 || (yield* edgesFor(claim, view))
    }
    const judged = yield* Effect.forEach(asking, (authority) => judge(claim, name, view, caa, authority, memory))
    const find = (authority: CertificateAuthority) => judged.find((each) => each.authority === authority)?.chosen.choices ?? []
    if (underWay) return all.map((authority) => ({ authority, choices: find(authority) }))
    const open = judged
      .filter(({ chosen }) => chosen.choices.length > 0)
      .map(({ authority, chosen: { choices } }) => ({ authority, choices }))
    const finding = open.length + proofless.length > 0 ? undefined : findingOf(claim, view, caa, judged)
    const leads = targetFinding(hostname, view.target)
    if (leads !== undefined && judged.every(({ possible }) => possible.choices.length === 0)) return yield* blocked(leads)
    if (view.caa?.verdict === "unknown" && !urgent)
      return yield* new PreflightFailed({ kind: "unavailable", message: caaUnclear(view.caa) })
    if (finding !== undefined) return yield* finding
    const permitted = new Map([...open, ...proofless].map((each) => [each.authority, each]))
    return all.flatMap((authority) => permitted.get(authority) ?? [])
  })

  return Preflight.of({ look, permitted })
})

const blocked = (message: string) => new PreflightFailed({ kind: "blocked", message })

const leadsTo = ({ target }: DnsView, underWay: boolean): NameFacts["leads"] => {
  if (underWay || target === undefined || target.verdict === "unknown") return "unknown"
  return target.verdict === "match" ? "here" : "elsewhere"
}

/** Why none of the CAs can be asked. */
const findingOf = (claim: Asked, view: DnsView, caa: CaaAnswer | undefined, judged: ReadonlyArray<Judged>): PreflightFailed => {
  const possible = judged.filter(({ possible }) => possible.choices.length > 0)
  if (possible.length > 0) {
    const refused = possible.map(({ issuer, possible: { choices } }) => {
      const asked = { ...issuer, method: choices.map(({ method }) => method).join(",") }
      return { issuer: asked, verdict: mayIssue(claim.hostname, caa, asked) }
    })
    return blocked(caaFinding(claim.hostname, caa, refused) ?? closedFinding(claim.hostname, possible[0]!.chosen.closed))
  }
  if (isWildcard(claim.hostname)) return blocked(wildcardFinding(claim.hostname, view.challenge))
  const closed = judged[0]?.possible.closed ?? new Map()
  if ([...closed].some(([method, because]) => isEdgeMethod(method) && because === "no-edge"))
    return new PreflightFailed({ kind: "edgeless", message: "no edge is connected" })
  return blocked(closedFinding(claim.hostname, closed))
}

const remembered = (claim: Pick<Claim, "caa" | "caa_looked_at">): Effect.Effect<CaaAnswer | undefined> =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    claim.caa !== null && claim.caa_looked_at !== null && now - claim.caa_looked_at.getTime() < rememberedMillis ? claim.caa : undefined
  )
