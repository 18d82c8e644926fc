/**
 * The calls `verify` and `check_records`: a look whose caller waits.
 *
 * Owns: one look at a time per connection (callers that come meanwhile share it), its time limit, what the caller is answered. Leaves to
 * the connector: looking; to the connection actor: what the look means; no lock is held while the look runs.
 * Built against: 200 callers that each ask a zone's servers, and a look that is overtaken by one that was asked for later.
 */
import { watchedRecords } from "@connect-domain/connection/certificateRecords.ts"
import type { Question } from "@connect-domain/connection/State.ts"
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { observeOwnership, observeRecords } from "@connect-domain/messages/connector.ts"
import type { DesiredRecord, RecordsLook } from "@connect-domain/messages/record.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect, Fiber, FiberSet } from "effect"
import { ConnectionActor } from "./ConnectionActor.ts"
import { type ConnectionRow, toView } from "./ConnectionRow.ts"
import { readConnection } from "./connectionStore.ts"
import { heardRecords } from "./heard.ts"
import { makeOfferLasting } from "./offerLasting.ts"

const timeoutMillis = 5_000

export interface RecordsAnswer {
  readonly connection: ConnectionView
  readonly look: RecordsLook
  readonly eta: string | null
}

type Failure = CallError | DatabaseError

export const makeLooks = Effect.gen(function* () {
  const db = yield* Database
  const calls = yield* Calls
  const actor = yield* ConnectionActor
  const offerLasting = yield* makeOfferLasting
  const fork = yield* FiberSet.makeRuntime<never, unknown, Failure>()
  const running = new Map<string, Fiber.Fiber<unknown, Failure>>()

  /** Joins the look that runs under this key, or starts it. A caller who leaves does not end it. */
  const shared = <A>(key: string, look: Effect.Effect<A, Failure>): Effect.Effect<A, Failure> =>
    Effect.suspend(() => {
      const fiber = running.get(key) ?? fork(look)
      if (!running.has(key)) {
        running.set(key, fiber)
        fiber.addObserver(() => void running.delete(key))
      }
      return Fiber.join(fiber as Fiber.Fiber<A, Failure>)
    })

  const read = Effect.fnUntraced(function* (id: string, tenantId: string) {
    const row = yield* readConnection(db, id, tenantId)
    return row === undefined ? yield* new CallError({ code: "not_found", message: "no such connection" }) : yield* offerLasting(row)
  })

  /** Makes this look the one whose answer counts, if the connection waits for such a one. */
  const begin = (row: ConnectionRow, question: Question & ("ownership" | "records")) =>
    Effect.map(actor.tell({ id: row.id, command: { name: "StartLook", question } }), (outcome) => outcome.row)

  const lookForProof = Effect.fnUntraced(function* (row: ConnectionRow) {
    const asked = yield* begin(row, "ownership")
    const { name, value } = asked.challenge
    const look = yield* calls.request(observeOwnership, { hostname: asked.hostname, name, value }, { timeoutMillis })
    const { row: after, events } = yield* actor.tell({
      id: row.id,
      command: { name: "OwnershipObserved", version: asked.attempt, verdict: look.verdict }
    })
    if (after.claimed) return after
    if (look.verdict === "match") return yield* events.length > 0 ? held(after) : overtaken
    const [code, message] =
      look.verdict === "mismatch"
        ? (["ownership_not_found", `no TXT record with the challenge's value was found at ${name}`] as const)
        : (["unavailable", `the name servers of ${asked.hostname} gave no clear answer`] as const)
    return yield* new CallError({ code, message, details: { look } })
  })

  const lookAtRecords = Effect.fnUntraced(function* (row: ConnectionRow) {
    const asked = yield* begin(row, "records")
    const records = watchedRecords(asked)
    const { hostname } = asked
    const look = yield* calls.request(observeRecords, { hostname, records }, { timeoutMillis })
    const { row: after } = yield* actor.tell({ id: row.id, command: heardRecords(asked.attempt, look) })
    return { connection: toView(after), look, eta: etaOf(look, records) }
  })

  return {
    verify: (tenantId: string, id: string): Effect.Effect<ConnectionView, Failure> =>
      Effect.gen(function* () {
        const row = yield* read(id, tenantId)
        if (row.claimed) return toView(row)
        if (row.state === "failed" || row.state === "archived") {
          return yield* new CallError({ code: "ownership_not_found", message: `the connection is ${row.state}; create a new one` })
        }
        const look = Effect.retry(lookForProof(row), { times: 3, while: (error) => error === overtaken })
        return toView(yield* shared(`ownership ${id}`, look))
      }),
    checkRecords: (tenantId: string, id: string): Effect.Effect<RecordsAnswer, Failure> =>
      Effect.flatMap(read(id, tenantId), (row) => shared(`records ${id}`, lookAtRecords(row)))
  }
})

/** Another replica has begun a look since, so that this one does not count: look again. */
const overtaken = new CallError({ code: "unavailable", message: "several looks at once; try again" })

const held = (row: ConnectionRow) =>
  Effect.fail(new CallError({ code: "HostnameConflict", message: `${row.hostname} was proven by another connection first` }))

/** When caches that still hold what is wrong now will have dropped it, should the records be right from now on. */
const etaOf = (look: RecordsLook, asked: ReadonlyArray<DesiredRecord>): string | null => {
  const waitedFor = look.records.filter((_, at) => asked[at]?.required !== false)
  const ttls = waitedFor.flatMap(({ verdict, observed_ttl }) => (verdict === "match" || observed_ttl === null ? [] : [observed_ttl]))
  return ttls.length === 0 ? null : new Date(Date.parse(look.looked_at) + Math.max(...ttls) * 1_000).toISOString()
}
