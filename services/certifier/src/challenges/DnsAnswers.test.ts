/** An answer that was taken away is forgotten only when nobody can write it any more. */
import { removeChallenge } from "@connect-domain/messages/connector.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { ChallengeTexts } from "./ChallengeTexts.ts"
import { DnsAnswers } from "./DnsAnswers.ts"

const claim = { claim_id: "c", fence: 1, tenant_id: "t", hostname: "shop.example.com" }
const question = { token: "token", key: "token.thumbprint" }
const done = { where: "credential" as const, name: "_acme-challenge.shop.example.com", provider: "p" }

/** What was asked of the connector and of the table after an offer whose write goes as given. */
const traceOf = (
  present: Effect.Effect<typeof done, CallError>,
  use: (offer: Effect.Effect<unknown, unknown>) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function* () {
    const trace: Array<string> = []
    const note = (what: string) => Effect.sync(() => void trace.push(what))
    const calls = Layer.succeed(Calls, {
      request: (definition: unknown) =>
        definition === removeChallenge ? Effect.as(note("remove"), { removed: true }) : Effect.andThen(note("present"), present)
    } as never)
    const texts = Layer.succeed(ChallengeTexts, {
      begin: () => note("begin"),
      isOurs: () => Effect.succeed(true),
      end: () => note("end")
    } as never)
    const answers = yield* Effect.provide(DnsAnswers, DnsAnswers.layer.pipe(Layer.provide([calls, texts])))
    yield* Effect.ignore(use(Effect.scoped(answers.offer(claim, [], question))))
    for (let turns = 0; turns < 50; turns++) yield* Effect.yieldNow
    return trace
  })

const failing = (code: string) => Effect.fail(new CallError({ code, message: code }))

describe("an answer in the DNS", () => {
  it.effect("is taken away at once when it was written, or never will be", () =>
    Effect.gen(function* () {
      for (const present of [Effect.succeed(done), failing("invalid")])
        assert.deepStrictEqual(yield* traceOf(present, (offer) => offer), ["begin", "present", "remove", "end"])
    })
  )

  it.effect("is looked at once more by the reaper where the connector may write it after it was taken away", () =>
    Effect.gen(function* () {
      const cutOff = yield* traceOf(Effect.never, (offer) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(offer)
          for (let turns = 0; turns < 50; turns++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
        })
      )
      assert.deepStrictEqual(cutOff, ["begin", "present", "remove"])
      assert.deepStrictEqual(yield* traceOf(failing("unavailable"), (offer) => offer), ["begin", "present", "remove"])
    })
  )
})
