/**
 * The certifier's calls about DNS challenges: an answer written, an answer removed, and what a customer has prepared for them.
 *
 * Owns: the three calls and their metric. Leaves the doing to `answerChallenge.ts`, where a name leads to `challengePlace.ts`.
 */
import { answersIn, Resolver } from "@connect-domain/dns/Resolver.ts"
import { acmePersistName, delegationTarget } from "@connect-domain/domain/acmeNames.ts"
import { lookChallenge, presentChallenge, removeChallenge } from "@connect-domain/messages/connector.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Layer, Metric } from "effect"
import { AcmeZone } from "./AcmeZone.ts"
import { bounded, present, remove } from "./answerChallenge.ts"
import { findPlace } from "./challengePlace.ts"

const longestLook = 5

const written = Metric.counter("connector_challenges_total", {
  description: "answers to DNS challenges, by where they were written and outcome",
  incremental: true
})
const counted = (where: string, outcome: string) => Metric.update(Metric.withAttributes(written, { where, outcome }), 1)

/** Values that every server that answers shows. */
const agreedValues = (name: string) =>
  Effect.flatMap(Resolver, (resolver) => resolver.follow(name, "TXT")).pipe(
    Effect.map(answersIn),
    Effect.map((answered) => (answered[0]?.values ?? []).filter((value) => answered.every(({ values }) => values.includes(value)))),
    Effect.catchTag("NoAuthority", (error) => Effect.fail(new CallError({ code: "unavailable", message: error.message })))
  )

export const challengeCalls = Layer.effectDiscard(
  Effect.gen(function* () {
    const calls = yield* Calls
    const { own } = yield* AcmeZone
    const zone = own?.zone ?? null
    yield* calls.serve(presentChallenge, (answer) =>
      present(answer, own).pipe(
        Effect.tap(({ where }) => counted(where, "shown")),
        Effect.tapError(({ code }) => counted("none", code))
      )
    )
    yield* calls.serve(removeChallenge, (answer) => remove(answer, own))
    yield* calls.serve(lookChallenge, ({ tenant_id, hostname }) => {
      const look = Effect.all([findPlace(tenant_id, hostname, zone), agreedValues(acmePersistName(hostname))], { concurrency: 2 })
      const slow = new CallError({ code: "unavailable", message: `the name servers of ${hostname} don't answer in time` })
      return Effect.map(bounded(look, longestLook, slow), ([{ kind, cname }, persist]) => ({
        delegated: kind === "delegated",
        cname,
        delegation_target: zone === null ? null : delegationTarget(tenant_id, hostname, zone),
        persist
      }))
    })
  })
)
