/**
 * Looks at the DNS for the lifecycle and the certifier: as work, answered by a message, and as calls, for somebody who waits.
 *
 * Owns: the mailbox `connector_observer` and three calls. Leaves to `libs/dns` how a look is made, to the lifecycle when and what follows.
 */
import { anyAnswered, lookOwnership as lookForOwnership, lookRecords as lookForRecords } from "@connect-domain/dns/look.ts"
import { lookCaa as lookForCaa } from "@connect-domain/dns/lookCaa.ts"
import type { DnsRecord } from "@connect-domain/domain/DnsRecord.ts"
import { lookCaa, lookOwnership, lookRecords, observeOwnership, observeRecords } from "@connect-domain/messages/connector.ts"
import { ownershipObserved, recordsObserved } from "@connect-domain/messages/lifecycle.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { handle, Work } from "@connect-domain/nats/Work.ts"
import { Effect, Layer, Metric } from "effect"

/** A look waits for others nearly all of its time. */
const concurrency = 256
/** The same question gives the same id: an answer that was sent before a crash is not sent twice. */
const answerTo = (question: string) => `${question}.answer`

const looks = Metric.counter("connector_looks_total", {
  description: "looks at authoritative servers, by kind and verdict",
  incremental: true
})
const counted = <A extends { readonly verdict: string }, E, R>(kind: "ownership" | "records", look: Effect.Effect<A, E, R>) =>
  Effect.tap(look, ({ verdict }) => Metric.update(Metric.withAttributes(looks, { kind, verdict }), 1))
const ownership = (asked: { readonly name: string; readonly value: string }) => counted("ownership", lookForOwnership(asked))
const records = (wanted: ReadonlyArray<DnsRecord>) => counted("records", lookForRecords(wanted))

const noServer = new CallError({ code: "unavailable", message: "none of the domain's name servers answers; try again in a moment" })

export const observer = Layer.effectDiscard(
  Effect.gen(function* () {
    const work = yield* Work
    const calls = yield* Calls
    yield* work.consume(
      "connector_observer",
      [
        handle(lookOwnership, ({ connection_id, version, name, value }, { id }) =>
          Effect.flatMap(ownership({ name, value }), (look) =>
            work.send(ownershipObserved, { connection_id, version, look }, { id: answerTo(id) })
          )
        ),
        handle(lookRecords, ({ connection_id, version, records: wanted }, { id }) =>
          Effect.flatMap(records(wanted), (look) => work.send(recordsObserved, { connection_id, version, look }, { id: answerTo(id) }))
        )
      ],
      { concurrency }
    )
    yield* calls.serve(observeOwnership, ({ name, value }) =>
      Effect.flatMap(ownership({ name, value }), (look) => (anyAnswered(look.servers) ? Effect.succeed(look) : Effect.fail(noServer)))
    )
    yield* calls.serve(lookCaa, ({ hostname }) =>
      Effect.map(lookForCaa(hostname), (look) => ({ at: null, records: [], error: null, ...look }))
    )
    yield* calls.serve(observeRecords, ({ records: wanted }) =>
      Effect.flatMap(records(wanted), (look) =>
        wanted.length === 0 || look.records.some((record) => anyAnswered(record.servers)) ? Effect.succeed(look) : Effect.fail(noServer)
      )
    )
  })
)
