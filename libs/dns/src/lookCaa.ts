/**
 * The CAA records that count for a name: those of the closest name, upwards, that has any; aliases followed at each (RFC 8659 §3).
 *
 * Owns: the climb, the time limit. Leaves to `caa.ts` what the records mean. A look never fails: what could not be learned is `unknown`, and
 * a CA that meets the same (SERVFAIL, silence, servers that disagree) must not issue. Built against: reading a failure as "no records".
 */
import { Effect } from "effect"
import { type CaaRecord, caaNames, parseCaa } from "./caa.ts"
import { plainName } from "./message.ts"
import { type Answered, answersIn, Resolver, type ServerReply } from "./Resolver.ts"

export type CaaLook =
  | { readonly verdict: "found"; readonly at: string; readonly records: ReadonlyArray<CaaRecord> }
  | { readonly verdict: "none" }
  | { readonly verdict: "unknown"; readonly at: string; readonly error: string }

/** Callers wait 5 s for a look. */
const longestLook = 4_500

type Step = ReadonlyArray<string> | { readonly error: string }

/** Every level is asked at once: the answer of the closest one that has records, or that can't be known, decides. */
export const lookCaa = Effect.fn("dns.lookCaa")(function* (hostname: string) {
  const resolver = yield* Resolver
  const names = caaNames(plainName(hostname))
  const ask = (name: string): Effect.Effect<Step> =>
    resolver.follow(name, "CAA").pipe(
      Effect.map(agreedValues),
      Effect.catchTag("NoAuthority", (error) => Effect.succeed({ error: error.message })),
      Effect.timeoutOrElse({ duration: longestLook, orElse: () => Effect.succeed({ error: `no answer within ${longestLook} ms` }) })
    )
  const steps = yield* Effect.forEach(names, ask, { concurrency: "unbounded" })
  for (const [index, step] of steps.entries()) {
    const at = names[index]!
    if ("error" in step) return { verdict: "unknown", at, error: step.error } satisfies CaaLook as CaaLook
    if (step.length > 0) return { verdict: "found", at, records: step.flatMap((text) => parseCaa(text) ?? []) } satisfies CaaLook as CaaLook
  }
  return { verdict: "none" } satisfies CaaLook as CaaLook
})

/** What the servers that answer say, if they say the same. */
const agreedValues = (replies: ReadonlyArray<ServerReply>): Step => {
  const answered = answersIn(replies)
  if (answered.length === 0) {
    const failed = replies.find(({ outcome }) => outcome.kind === "failed")
    return { error: failed?.outcome.kind === "failed" ? `${failed.server}: ${failed.outcome.error}` : "the zone has no name server" }
  }
  const key = (outcome: Answered) => [...outcome.values].sort().join("\n")
  const same = answered.every((outcome) => key(outcome) === key(answered[0]!))
  return same ? answered[0]!.values : { error: "its name servers give different answers" }
}
