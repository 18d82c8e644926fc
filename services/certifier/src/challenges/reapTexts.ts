/**
 * Takes away DNS-01 answers that were left behind: by a crash, by a provider that was away, by name servers that were too slow.
 *
 * Owns: the loop. Leaves to `ChallengeTexts.ts`: which, and that no two certifiers take up the same.
 */
import { removeChallenge } from "@connect-domain/messages/connector.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Layer, Schedule } from "effect"
import { ChallengeTexts, keptMinutes, type LeftText } from "./ChallengeTexts.ts"

const atOnce = 50
/** After so long nobody can take it away (the credential is gone, or the zone): it harms nobody, its token is spent. Days. */
const givenUpDays = 7

export const reapTexts = Layer.effectDiscard(
  Effect.gen(function* () {
    const [texts, calls] = [yield* ChallengeTexts, yield* Calls]

    const takeAway = ({ value, hostname, tenant_id, connection_id, age_days, ...text }: LeftText) =>
      Effect.gen(function* () {
        const credentials = yield* texts.credentials(connection_id)
        const removed = yield* Effect.result(calls.request(removeChallenge, { tenant_id, hostname, value, credentials }))
        if (removed._tag === "Success" || age_days > givenUpDays) yield* texts.end(text, value)
        if (removed._tag === "Success") yield* Effect.logInfo("took away an answer that was left in the DNS", { hostname })
        else yield* Effect.logWarning("an answer is left in the DNS", { hostname, error: removed.failure.message, tries: text.tries })
      })

    const round = Effect.gen(function* () {
      const left = yield* texts.left(atOnce)
      yield* Effect.forEach(left, takeAway, { concurrency: 8, discard: true })
      if (left.length > 0) return
      // Whatever is written from now on has that much time yet.
      const longest = keptMinutes * 60_000
      yield* Effect.sleep(Math.min(Math.max((yield* texts.nextLeft) ?? longest, 1_000), longest))
    })
    yield* round.pipe(
      Effect.tapError((error) => Effect.logWarning("answers left in the DNS: trying again", { error: String(error) })),
      Effect.retry(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])),
      Effect.forever,
      Effect.forkScoped
    )
  })
)
