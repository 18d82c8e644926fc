/**
 * The certifier's mailbox: ensure and release.
 *
 * Owns: turning a message into a row. Leaves to the scheduler: the work; a handler is done, and its message acknowledged, as soon as the
 * wish is in Postgres. Both are idempotent, and a release wins over an ensure of the same claim whichever comes first.
 */
import { ensureCertificate, releaseCertificate } from "@connect-domain/messages/certifier.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { Effect, Layer } from "effect"
import { Claims } from "./Claims.ts"
import { Wake } from "./Wake.ts"

export const handleRequests = Layer.effectDiscard(
  Effect.gen(function* () {
    const [work, wake, claims] = [yield* Work, yield* Wake, yield* Claims]
    yield* work.consume("certifier_order", [
      handle(ensureCertificate, (payload) => Effect.andThen(claims.want(payload), wake.now)),
      handle(releaseCertificate, (payload) => Effect.andThen(claims.release(payload), wake.now))
    ])
  })
)
