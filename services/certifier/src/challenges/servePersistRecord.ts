/**
 * Tells the lifecycle which lasting records a customer may set, so that it can offer them (`required: false`).
 *
 * Owns: the call. Leaves to `persistRecords.ts` the values, to `ChallengeMemory.ts` what each CA accepts: a CA says so in its first
 * authorization, and until one was seen nothing is offered.
 */
import { acmePersistName } from "@connect-domain/domain/acmeNames.ts"
import { persistRecord } from "@connect-domain/messages/certifier.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Layer } from "effect"
import { Authorities } from "../Authorities.ts"
import { allowedMethods } from "./methods.ts"
import { persistValue } from "./persistRecords.ts"

export const servePersistRecord = Layer.effectDiscard(
  Effect.gen(function* () {
    const [calls, authorities] = [yield* Calls, yield* Authorities]
    const allowed = yield* allowedMethods
    yield* calls.serve(persistRecord, ({ environment, hostname }) =>
      Effect.gen(function* () {
        const asked = allowed.includes("dns-persist-01") ? authorities.of(environment) : []
        const offers = yield* Effect.forEach(asked, (authority) => authority.offers)
        const values = offers.flatMap((terms) => (terms === undefined || terms.issuers.length === 0 ? [] : [persistValue(hostname, terms)]))
        return { name: acmePersistName(hostname), values: [...new Set(values)] }
      })
    )
  })
)
