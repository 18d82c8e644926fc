/**
 * The operator's calls: replace many, revoke, change an account's key, list what fails.
 *
 * Owns: reading their input, their errors. Leaves to the files beside it: doing it.
 */
import { listFailing, replaceCertificates, revokeCertificates, rollAccountKey } from "@connect-domain/messages/certifier.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Layer } from "effect"
import { Replacements } from "../Replacements.ts"
import { Wake } from "../Wake.ts"
import { makeListFailing, readCursor } from "./listFailing.ts"
import { Revocations } from "./Revocations.ts"
import { makeRollAccountKey } from "./rollAccountKey.ts"

const unavailable = (error: { readonly message: string }) => new CallError({ code: "unavailable", message: error.message })
const invalid = (field: string, message: string) => new CallError({ code: "invalid", message, details: { field } })

const timeOf = (field: string, text: string | null) => {
  const date = text === null ? null : new Date(text)
  return date !== null && Number.isNaN(date.getTime())
    ? Effect.fail(invalid(field, `${field} is not an ISO 8601 time`))
    : Effect.succeed(date)
}

export const serveOperations = Layer.effectDiscard(
  Effect.gen(function* () {
    const [calls, wake, replacements, revocations] = [yield* Calls, yield* Wake, yield* Replacements, yield* Revocations]
    const [failing, roll] = [yield* makeListFailing, yield* makeRollAccountKey]

    yield* calls.serve(replaceCertificates, ({ since, until, reason, dry_run, ...filter }) =>
      Effect.gen(function* () {
        const times = { since: yield* timeOf("since", since), until: yield* timeOf("until", until) }
        const matching = yield* replacements.replaceMatching({ ...filter, ...times }, reason, !dry_run).pipe(Effect.mapError(unavailable))
        yield* wake.now
        return { matching }
      })
    )

    yield* calls.serve(revokeCertificates, ({ serial, connection_id, reason, dry_run }) =>
      Effect.gen(function* () {
        if (serial === null && connection_id === null) return yield* invalid("serial", "give a serial or a connection_id")
        const matching = yield* revocations.want({ serial, connection_id }, reason, !dry_run).pipe(Effect.mapError(unavailable))
        yield* wake.now
        // Best effort at once; the worker goes on with whatever is left.
        if (!dry_run) yield* Effect.ignore(revocations.round)
        return { matching }
      })
    )

    yield* calls.serve(rollAccountKey, ({ ca }) =>
      roll(ca).pipe(Effect.mapError((error) => (error._tag === "CallError" ? error : unavailable(error))))
    )

    yield* calls.serve(listFailing, ({ after, limit }) => {
      const cursor = after === null ? undefined : readCursor(after)
      if (after !== null && cursor === undefined) return Effect.fail(invalid("after", "after is no `next` of a page before"))
      return Effect.mapError(failing(cursor, limit), unavailable)
    })
  })
)
