/**
 * Looks at a name's DNS before an order is placed (A7): does it lead to us, and which CAs may issue?
 *
 * Owns: asking the connector, what stands in for it when it is away, the finding that forbids the order. Leaves to `findings.ts` the rules.
 * Built against: orders that can only fail (each counts at the CA), and the other way round: a look that failed must not stop a renewal.
 */
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import { lookCaa, observeRecords } from "@connect-domain/messages/connector.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Clock, Context, Data, Effect, Layer } from "effect"
import type { CertificateAuthority } from "./CertificateAuthority.ts"
import type { Claim } from "./Claim.ts"
import { caaFinding, caaUnclear, type DnsView, leadingRecords, mayIssue, targetFinding } from "./findings.ts"
import { LiveEdges } from "./LiveEdges.ts"
import type { FailureKind } from "./retryLadder.ts"

/** No order was placed. `message` is for the customer. */
export class PreflightFailed extends Data.TaggedError("PreflightFailed")<{
  readonly kind: Extract<FailureKind, "blocked" | "unavailable" | "edgeless">
  readonly message: string
}> {}

/** How long remembered CAA records are good for when nobody can look: what CAs themselves may do (Baseline Requirements 3.2.2.8). */
const rememberedMillis = 8 * 3_600_000

export class Preflight extends Context.Service<
  Preflight,
  {
    /** What the DNS says now. Never fails: what nobody could look at is undefined. */
    readonly look: (claim: Pick<Claim, "hostname" | "records">) => Effect.Effect<DnsView>
    /** The CAs of `all` that may issue for the claim, in that order, at least one. `urgent`: what is not known forbids nothing. */
    readonly permitted: (
      claim: Pick<Claim, "hostname" | "caa" | "caa_looked_at">,
      view: DnsView,
      all: ReadonlyArray<CertificateAuthority>,
      urgent: boolean
    ) => Effect.Effect<ReadonlyArray<CertificateAuthority>, PreflightFailed>
  }
>()("certifier/Preflight") {
  static readonly layer = Layer.effect(
    Preflight,
    Effect.gen(function* () {
      const [calls, edges] = [yield* Calls, yield* LiveEdges]

      const look: Preflight["Service"]["look"] = Effect.fnUntraced(function* ({ hostname, records }) {
        const leading = leadingRecords(hostname, records ?? [])
        const asked = <A, E>(call: Effect.Effect<A, E>) => Effect.orElseSucceed(call, () => undefined)
        const [caa, target] = yield* Effect.all(
          [
            asked(calls.request(lookCaa, { hostname })),
            leading.length === 0 ? Effect.undefined : asked(calls.request(observeRecords, { hostname, records: leading }))
          ],
          { concurrency: 2 }
        )
        if (caa === undefined) yield* Effect.logInfo("nobody looks at the DNS for us; going by what is remembered", { hostname })
        return { caa, target }
      })

      const permitted: Preflight["Service"]["permitted"] = Effect.fnUntraced(function* (claim, view, all, urgent) {
        const leads = targetFinding(claim.hostname, view.target)
        if (leads !== undefined) return yield* new PreflightFailed({ kind: "blocked", message: leads })
        if (view.caa?.verdict === "unknown" && !urgent)
          return yield* new PreflightFailed({ kind: "unavailable", message: caaUnclear(view.caa) })
        const caa = view.caa ?? (yield* remembered(claim))
        const asked = yield* Effect.forEach(all, (authority) =>
          // A CA that is away can't say its names: the order will find out.
          Effect.map(Effect.option(authority.caa), (issuer) => ({
            authority,
            issuer: issuer._tag === "Some" ? issuer.value : { identities: [], accountUri: undefined, method: "" }
          }))
        )
        const judged = asked.map((each) => ({ ...each, verdict: mayIssue(claim.hostname, caa, each.issuer) }))
        const allowed = judged.filter(({ verdict }) => verdict.allowed).map(({ authority }) => authority)
        const finding = allowed.length === 0 ? caaFinding(claim.hostname, caa, judged) : undefined
        if (finding !== undefined) return yield* new PreflightFailed({ kind: "blocked", message: finding })
        if (allowed.every(({ needsEdge }) => needsEdge) && !(yield* edges.awaitConnected))
          return yield* new PreflightFailed({ kind: "edgeless", message: "no edge is connected" })
        return allowed
      })

      return Preflight.of({ look, permitted })
    })
  )
}

const remembered = (claim: Pick<Claim, "caa" | "caa_looked_at">): Effect.Effect<CaaAnswer | undefined> =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    claim.caa !== null && claim.caa_looked_at !== null && now - claim.caa_looked_at.getTime() < rememberedMillis ? claim.caa : undefined
  )
