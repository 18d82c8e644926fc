/**
 * The certifier's mailbox: ensure and release; and the operator's call to replace many at once (A9).
 *
 * Owns: turning a message into a row. Leaves to the scheduler: the work; a handler is done, and its message acknowledged, as soon as the
 * wish is in Postgres. Both are idempotent, and a release wins over an ensure of the same claim whichever comes first.
 */
import { ensureCertificate, releaseCertificate, replaceCertificates } from "@connect-domain/messages/certifier.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { Effect, Layer } from "effect"
import { Claims } from "./Claims.ts"
import { Replacements } from "./Replacements.ts"
import { Wake } from "./Wake.ts"

export const handleRequests = Layer.effectDiscard(
  Effect.gen(function* () {
    const [work, calls, wake] = [yield* Work, yield* Calls, yield* Wake]
    const [claims, replacements] = [yield* Claims, yield* Replacements]
    yield* work.consume("certifier_order", [
      handle(ensureCertificate, (payload) => Effect.andThen(claims.want(payload), wake.now)),
      handle(releaseCertificate, (payload) => Effect.andThen(claims.release(payload), wake.now))
    ])
    yield* calls.serve(replaceCertificates, ({ since, until, reason, dry_run, ...filter }) =>
      Effect.gen(function* () {
        const times = { since: yield* timeOf("since", since), until: yield* timeOf("until", until) }
        const matching = yield* replacements
          .replaceMatching({ ...filter, ...times }, reason, !dry_run)
          .pipe(Effect.mapError((error) => new CallError({ code: "unavailable", message: error.message })))
        yield* wake.now
        return { matching }
      })
    )
  })
)

const timeOf = (field: string, text: string | null) => {
  const date = text === null ? null : new Date(text)
  return date !== null && Number.isNaN(date.getTime())
    ? Effect.fail(new CallError({ code: "invalid", message: `${field} is not an ISO 8601 time`, details: { field } }))
    : Effect.succeed(date)
}
