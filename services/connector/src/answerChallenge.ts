/**
 * Writing an answer to a CA's DNS challenge, waiting until it can be seen, and taking it away again.
 *
 * Owns: which zone it goes to, the wait, whose turn a failure makes it. Leaves to `challengePlace.ts` where the name leads, to `ZoneWriter`
 * the lease and the plan. Exactly one TXT value at one name is ever touched (requirement D12); values of other orders stay.
 * Built against: a CA that looks at the one server that does not have it yet, and answers that stay behind for ever.
 */
import { matchOwnership } from "@connect-domain/dns/matchOwnership.ts"
import { Resolver } from "@connect-domain/dns/Resolver.ts"
import { combine } from "@connect-domain/dns/verdict.ts"
import type { Reason } from "@connect-domain/dns-provider/DnsProvider.ts"
import { acmeChallengeName, delegationTarget } from "@connect-domain/domain/acmeNames.ts"
import type { presentChallenge } from "@connect-domain/messages/connector.ts"
import { CallError } from "@connect-domain/nats/Calls.ts"
import { Effect, Schedule } from "effect"
import type { OwnZone } from "./AcmeZone.ts"
import { toFailure } from "./applyChanges.ts"
import { findPlace } from "./challengePlace.ts"
import { type WriteOutcome, ZoneWriter } from "./ZoneWriter.ts"

export type Answer = (typeof presentChallenge)["payload"]["Type"]

/** As the longest that callers are told to expect; their own patience is a little longer. Seconds. */
const longestPresent = 20
const longestRemove = 12
/** Seconds; a value that was looked for too early is forgotten soon. */
const ttl = 60
/** Between two looks: quick at first, most providers answer at once. Milliseconds. */
const gaps = [0, 50, 100, 200, 400, 800]
const longestGap = 1_000

/** Who must act: a moment's patience, or a person, whom the message tells what to do. */
const refusal = (reason: Reason) => {
  const { code, message } = toFailure(reason)
  return code === "unavailable" || code === "rate_limited"
    ? new CallError({ code: "unavailable", message, details: { code } })
    : new CallError({ code: "invalid", message, details: { code } })
}

const leased = <R>(write: Effect.Effect<WriteOutcome, { readonly message: string }, R>) =>
  Effect.mapError(write, (error) => new CallError({ code: "unavailable", message: error.message }))

const order = (name: string, value: string, purpose: "challenge" | "cleanup") => ({
  hostname: name,
  purpose,
  records: [{ host: name, type: "TXT" as const, value, ttl }],
  replace: false
})

/** Until every server that answers shows the value. A server that is silent is silent to the CA too. */
const shown = Effect.fnUntraced(function* (name: string, value: string) {
  const resolver = yield* Resolver
  for (let look = 0; ; look++) {
    yield* Effect.sleep(gaps[look] ?? longestGap)
    const replies = yield* Effect.catchTag(resolver.ask(name, "TXT"), "NoAuthority", () => Effect.succeed([]))
    if (combine(matchOwnership(value, replies).map(({ verdict }) => verdict)) === "match") return
  }
})

/** Our own alias was put there a moment ago, and not every server shows it yet: its target is the place then. */
const aliased = new CallError({ code: "not_yet", message: "the name has just become an alias" })
const becameAlias = (reason: Reason, target: string | null): boolean =>
  reason._tag === "Conflict" && target !== null && reason.found.includes(`CNAME ${target}`)

const write = (answer: Answer, own: OwnZone | null) =>
  Effect.retry(writeOnce(answer, own), { while: (error) => error === aliased, schedule: Schedule.spaced("500 millis") })

const writeOnce = Effect.fn("connector.presentChallenge")(function* (answer: Answer, own: OwnZone | null) {
  const writer = yield* ZoneWriter
  const { tenant_id, hostname, value, credentials } = answer
  const target = own === null ? null : delegationTarget(tenant_id, hostname, own.zone)
  const place = yield* findPlace(tenant_id, hostname, own?.zone ?? null)
  if (place.kind === "anothers") {
    return yield* new CallError({
      code: "invalid",
      message: `${place.name} is an alias of ${place.cname}, which is not this connection's; make it an alias of ${target}`,
      details: { code: "conflict" }
    })
  }
  const delegated = own !== null && place.kind === "delegated"
  const where = delegated ? ("delegated" as const) : ("credential" as const)
  const name = delegated ? place.cname! : place.name
  const outcome = yield* leased(
    delegated
      ? writer.writeOwn(own.through, order(name, value, "challenge"))
      : writer.write({ ...order(name, value, "challenge"), credentials })
  )
  if (outcome.failure !== null) return yield* becameAlias(outcome.failure, target) ? aliased : refusal(outcome.failure)
  yield* shown(name, value)
  return { where, name, provider: outcome.provider ?? "" }
})

/**
 * Where it may stand: at our own label, whether or not the customer's CNAME is still there, and at the name itself, unless the zone is none
 * of the credential's.
 */
const erase = Effect.fn("connector.removeChallenge")(function* (answer: Answer, own: OwnZone | null) {
  const writer = yield* ZoneWriter
  const { tenant_id, hostname, value, credentials } = answer
  const ours =
    own === null ? [] : [leased(writer.writeOwn(own.through, order(delegationTarget(tenant_id, hostname, own.zone), value, "cleanup")))]
  const theirs =
    credentials.length === 0 ? [] : [leased(writer.write({ ...order(acmeChallengeName(hostname), value, "cleanup"), credentials }))]
  const outcomes = yield* Effect.all([...ours, ...theirs], { concurrency: 2 })
  const removed = outcomes.some(({ changed }) => changed)
  const failed = outcomes.find(({ failure }) => failure !== null && failure._tag !== "ZoneNotFound")?.failure ?? null
  if (failed !== null && !removed) return yield* refusal(failed)
  return { removed }
})

/** Fails unless it was done in time. */
export const bounded = <A, R>(effect: Effect.Effect<A, CallError, R>, seconds: number, orElse: CallError) =>
  Effect.timeoutOrElse(effect, { duration: `${seconds} seconds`, orElse: () => Effect.fail(orElse) })

/** Where it was written, once every server that answers shows it. Errors: `not_yet`, `unavailable`, `invalid`. */
export const present = (answer: Answer, own: OwnZone | null) => {
  const message = `not every name server of ${acmeChallengeName(answer.hostname)} shows the value yet`
  return bounded(write(answer, own), longestPresent, new CallError({ code: "not_yet", message }))
}

/** Success when it stands nowhere. Errors: `unavailable`, `invalid`. */
export const remove = (answer: Answer, own: OwnZone | null) =>
  bounded(erase(answer, own), longestRemove, new CallError({ code: "unavailable", message: "the provider is slow; remove it again" }))
