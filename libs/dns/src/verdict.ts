/**
 * From what each server said to one verdict.
 *
 * Pure. Owns the rule: `match` when every server that answers agrees and at least one answers; `mismatch` when every server answers and
 * none matches; anything else is `unknown` and must change nothing (requirement D11). Leaves to the matchers what a match is.
 */
import type { Answered, ServerReply } from "./Resolver.ts"

export type Verdict = "match" | "mismatch" | "unknown"
/** One server's part in a verdict, as it is shown to people. `error` is set when it gave no usable answer. */
export type ServerVerdict = {
  readonly server: string
  readonly address: string | null
  readonly values: ReadonlyArray<string>
  readonly verdict: Verdict
  readonly error: string | null
}

export const combine = (verdicts: ReadonlyArray<Verdict>): Verdict => {
  const matches = verdicts.filter((verdict) => verdict === "match").length
  const mismatches = verdicts.filter((verdict) => verdict === "mismatch").length
  if (matches > 0 && mismatches === 0) return "match"
  return mismatches > 0 && mismatches === verdicts.length ? "mismatch" : "unknown"
}

/** Of several records that are all needed: one that surely differs decides, then one that is not known. Nothing needed is a match. */
export const combineAll = (verdicts: ReadonlyArray<Verdict>): Verdict =>
  verdicts.includes("mismatch") ? "mismatch" : verdicts.includes("unknown") ? "unknown" : "match"

/** Judges each server that answered; one that did not is `unknown`. */
export const judge = (
  replies: ReadonlyArray<ServerReply>,
  of: (answered: Answered) => { readonly values: ReadonlyArray<string>; readonly verdict: Verdict; readonly error?: string }
): ReadonlyArray<ServerVerdict> =>
  replies.map(({ server, address, outcome }) => {
    if (outcome.kind === "failed") return { server, address, values: [], verdict: "unknown", error: outcome.error }
    return { server, address, error: null, ...of(outcome) }
  })

/** Two questions to the same servers as one: the values of both; failed when either failed. The alias is the first question's. */
export const bothOf = (first: ReadonlyArray<ServerReply>, second: ReadonlyArray<ServerReply>): ReadonlyArray<ServerReply> =>
  first.map((reply) => {
    const other = second.find(({ server }) => server === reply.server)?.outcome ?? { kind: "failed" as const, error: "was not asked twice" }
    if (reply.outcome.kind === "failed") return reply
    if (other.kind === "failed") return { ...reply, outcome: other }
    return {
      ...reply,
      outcome: {
        ...reply.outcome,
        exists: reply.outcome.exists || other.exists,
        values: [...reply.outcome.values, ...other.values],
        ttl: reply.outcome.ttl ?? other.ttl
      }
    }
  })
