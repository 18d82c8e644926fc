/**
 * Plays the connector for the certifier: CAA, where names lead, and the TXT values of DNS-01, told to the DNS server that the CA asks.
 *
 * Owns: what these calls answer. Leaves to tests: what the DNS says (`dns.caa`, `dns.target` …), and when a write is refused or slow.
 */
import { acmeChallengeName } from "@connect-domain/domain/acmeNames.ts"
import {
  type CaaAnswer,
  lookCaa,
  lookChallenge,
  observeRecords,
  presentChallenge,
  removeChallenge
} from "@connect-domain/messages/connector.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import type { Pebble } from "./Pebble.ts"

/** What the connector answers; change it to change the DNS. Undefined: it does not answer. */
export interface FakeDns {
  caa: CaaAnswer | undefined
  /** Where every name leads. */
  target: string
  readonly asked: Array<string>
  /** What the next questions for CAA wait for; the answer is what stood there when they were asked. */
  readonly holds: Array<Effect.Effect<void>>
  /** `_acme-challenge` of every name is delegated to us. */
  delegated: boolean
  /** Where it should be delegated to; null: no zone of ours is set up. */
  delegationTarget: string | null
  /** TXT values at `_validation-persist` of every name. */
  persist: ReadonlyArray<string>
  /** How the next writes of a challenge go; empty: well. */
  readonly refusals: Array<CallError>
  /** What the next writes of a challenge wait for before they answer. */
  readonly waits: Array<Effect.Effect<void>>
  /** Name → TXT values that stand there, as DNS-01 wrote them; kept equal in the DNS server that the CA asks. */
  readonly texts: Map<string, Set<string>>
  /** Writes that were asked for so far. */
  presented: number
}

export const noCaa: CaaAnswer = { verdict: "none", at: null, records: [], error: null }

/** Every name leads to the edge, and nothing of it is open to us. */
export const makeDns = (): FakeDns => ({
  ...{ caa: noCaa, target: "edge.test", asked: [], holds: [], delegated: false, delegationTarget: null, persist: [] },
  ...{ refusals: [], waits: [], texts: new Map(), presented: 0 }
})

/** The connector's part: every name's records lead to `dns.target`. */
export const serveDns = (dns: FakeDns, pebble: Pebble) =>
  Effect.gen(function* () {
    const calls = yield* Calls
    const tell = (name: string) => Effect.promise(() => pebble.setTexts(name, [...(dns.texts.get(name) ?? [])]))
    yield* calls.serve(lookChallenge, () =>
      Effect.succeed({ delegated: dns.delegated, cname: null, delegation_target: dns.delegationTarget, persist: dns.persist })
    )
    yield* calls.serve(presentChallenge, ({ hostname, value, credentials }) =>
      Effect.gen(function* () {
        const name = acmeChallengeName(hostname)
        dns.presented++
        const refusal = dns.refusals.shift()
        if (refusal !== undefined && refusal.code !== "not_yet") return yield* refusal
        dns.texts.set(name, new Set([...(dns.texts.get(name) ?? []), value]))
        yield* tell(name)
        if (refusal !== undefined) return yield* refusal
        yield* dns.waits.shift() ?? Effect.void
        return {
          where: dns.delegated ? ("delegated" as const) : ("credential" as const),
          name,
          provider: credentials[0]?.provider ?? "own"
        }
      })
    )
    yield* calls.serve(removeChallenge, ({ hostname, value }) =>
      Effect.gen(function* () {
        const name = acmeChallengeName(hostname)
        const removed = dns.texts.get(name)?.delete(value) ?? false
        if (dns.texts.get(name)?.size === 0) dns.texts.delete(name)
        yield* tell(name)
        return { removed }
      })
    )
    yield* calls.serve(lookCaa, ({ hostname }) =>
      Effect.gen(function* () {
        dns.asked.push(hostname)
        const answer = dns.caa
        yield* dns.holds.shift() ?? Effect.void
        return answer ?? (yield* new CallError({ code: "unavailable", message: "away" }))
      })
    )
    yield* calls.serve(observeRecords, ({ records }) =>
      Effect.sync(() => {
        const verdictOf = (value: string) => (value === dns.target ? ("match" as const) : ("mismatch" as const))
        const looks = records.map(({ host, type, value }) => {
          const verdict = verdictOf(value)
          return { host, type, value, verdict, observed_value: dns.target, observed_ttl: 60, servers: [] }
        })
        return { verdict: verdictOf(records[0]!.value), records: looks, looked_at: new Date().toISOString() }
      })
    )
  })
