/**
 * The connection actors: tells a connection something and commits everything that follows from it at once.
 *
 * Owns: row lock → drop what was seen → decide → write state, seen ids, events, registry entries and messages in one transaction → wake
 * the relays. Leaves to libs/connection: every decision; to the outbox and the registry's relay: sending. Commands that arrive together
 * share a transaction.
 * Built against: a crash anywhere (nothing is sent that is not committed, what is committed is sent again until it is taken), two replicas
 * with two commands for one connection (the row lock), two tenants that prove one name at once (the unique index: decided again).
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import type { CallError } from "@connect-domain/nats/Calls.ts"
import { Outbox } from "@connect-domain/outbox/Outbox.ts"
import { contextHeaders } from "@connect-domain/telemetry/requestContext.ts"
import { Clock, Context, Effect, Exit, Layer, Metric } from "effect"
import { loadConnections, loadDue, readCredentials, saveDraft, sharing } from "./connectionStore.ts"
import { Draft, type Outcome, type Surroundings, type Told } from "./Draft.ts"
import { groupCommit } from "./GroupCommit.ts"
import { toOutbox } from "./outgoing.ts"
import { timing } from "./timing.ts"
import { Wake } from "./Wake.ts"

const entered = Metric.counter("lifecycle_states_entered_total", {
  description: "connections that came into a state, by state",
  incremental: true
})
const lag = Metric.gauge("lifecycle_deadline_lag_seconds", { description: "how late the most overdue deadline was delivered" })

export class ConnectionActor extends Context.Service<
  ConnectionActor,
  {
    /** Fails with `not_found`, with the machine's refusal, or with what `edit` says. A late or repeated command succeeds with no events. */
    readonly tell: (told: Told) => Effect.Effect<Outcome, CallError | DatabaseError>
    /** Tells up to `limit` connections that their deadline has passed; gives back how many. */
    readonly tellDue: (limit: number) => Effect.Effect<number, DatabaseError>
  }
>()("lifecycle/ConnectionActor") {
  static readonly layer = Layer.effect(
    ConnectionActor,
    Effect.gen(function* () {
      const db = yield* Database
      const outbox = yield* Outbox
      const wake = yield* Wake
      const settings = yield* timing

      const surroundings = Effect.map(Clock.currentTimeMillis, (now): Surroundings => ({ now, random: Math.random, timing: settings }))
      const commit = Effect.fnUntraced(function* (draft: Draft) {
        if (draft.changed.size === 0 && draft.seen.size === 0) return
        const writing = draft.reactions.filter(({ reaction }) => reaction.to === "provider").map(({ row }) => row.application_id)
        yield* saveDraft(db, draft, toOutbox(draft, yield* readCredentials(db, [...new Set(writing)])))
        yield* db.afterCommit(() => {
          outbox.poke()
          wake.committed(draft)
        })
        for (const state of draft.entered) yield* Metric.update(Metric.withAttributes(entered, { state }), 1)
      })

      const tellAll = Effect.fnUntraced(function* (all: ReadonlyArray<Told>) {
        const ids = [...new Set(all.map((told) => told.id))]
        const messageIds = all.flatMap((told) => told.messageId ?? [])
        const { rows, seen } = yield* loadConnections(db, ids, messageIds)
        const draft = new Draft(rows, seen, yield* surroundings)
        const outcomes = yield* Effect.forEach(all, (told) => tellOne(draft, told))
        yield* commit(draft)
        return outcomes
      }, db.transaction)

      const tellDue = Effect.fnUntraced(function* (limit: number) {
        const around = yield* surroundings
        const { rows, seen } = yield* loadDue(db, around.now, limit)
        const draft = new Draft(rows, seen, around)
        for (const { row } of rows) {
          const outcome = draft.tell({ id: row.id, command: { name: "DeadlineReached" } })
          if (Exit.isFailure(outcome)) yield* Effect.logError(`${row.id} could not be told of its deadline`, outcome.cause)
        }
        yield* commit(draft)
        yield* Metric.update(lag, (around.now - (rows[0]?.row.next_check_at ?? around.now)) / 1_000)
        return rows.length
      }, db.transaction)

      const tell = yield* groupCommit<Told, Outcome, CallError | DatabaseError, never>(sharing, (all) => decidedAgain(tellAll(all)))
      // What depends on other rows has a transaction of its own: there it sees all that was committed, and nothing that is about to be.
      const tellAlone = (told: Told) => Effect.flatMap(decidedAgain(tellAll([told])), ([outcome]) => outcome!)
      const tellFromHere = (told: Told) =>
        Effect.withFiber<Outcome, CallError | DatabaseError>((fiber) => {
          const from = { headers: contextHeaders(fiber.context), ...told }
          return told.allowed === undefined ? tell(from) : tellAlone(from)
        })
      return ConnectionActor.of({ tell: tellFromHere, tellDue: (limit) => decidedAgain(tellDue(limit)) })
    })
  )
}

const tellOne = (draft: Draft, told: Told): Effect.Effect<Exit.Exit<Outcome, CallError>, DatabaseError> =>
  told.allowed === undefined
    ? Effect.succeed(draft.tell(told))
    : told.allowed.pipe(
        Effect.map(() => draft.tell(told)),
        Effect.catchTag("CallError", (refused) => Effect.succeed(Exit.fail(refused)))
      )

/** A claim or a message id that another transaction committed first, or a deadlock: what is read now says so. */
const decidedAgain = <A, R>(effect: Effect.Effect<A, DatabaseError, R>) =>
  Effect.retry(effect, { times: 10, while: (error) => error.reason === "UniqueViolation" || error.reason === "SerializationFailure" })
