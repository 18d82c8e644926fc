/**
 * The ticker: delivers deadlines as commands.
 *
 * Owns: when to look for what is due. It sleeps until the next deadline it knows of, is woken by a commit that sets an earlier one, and
 * looks after a second at the latest, for deadlines that another replica set. Leaves to the connection actor: what a deadline means.
 * Built against: a process that died with a timer in its memory: deadlines are rows, and any replica delivers any of them.
 * And against more questions than can be answered before they are asked again: answers would come too late to count, and the more is asked
 * the less would move. While much is unanswered, deadlines wait.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { Work } from "@connect-domain/nats/Work.ts"
import { Clock, Effect } from "effect"
import { ConnectionActor } from "./ConnectionActor.ts"
import { Wake } from "./Wake.ts"

/** Connections told in one transaction. */
const batch = 200
const longestSleep = 1_000
/** Messages on their way to the connector and back, above which no further question is asked. They are through in a second or two. */
const enough = 1_000
/** A connector that is away must not hold up what needs no look. Milliseconds per batch. */
const longestWait = 2_000
/** Ids of messages are kept this long: longer than any stream keeps a message for redelivery. */
const inboxKept = "8 days"

export const tick = Effect.gen(function* () {
  const db = yield* Database
  const actor = yield* ConnectionActor
  const work = yield* Work
  const { deadline } = yield* Wake

  const next = Effect.map(
    db.query<{ at: Date | null }>((sql) => sql`select min(next_check_at) as at from lifecycle.connections`),
    ([row]) => row?.at?.getTime() ?? Number.POSITIVE_INFINITY
  )
  const sleep = Effect.gen(function* () {
    let due = yield* next
    while (true) {
      due = Math.min(due, deadline.take())
      const left = Math.min(due - (yield* Clock.currentTimeMillis), longestSleep)
      if (left <= 0) return
      const woken = yield* Effect.timeoutOption(deadline.signal.wait, left)
      if (woken._tag === "None") return
    }
  })
  const unanswered = Effect.map(Effect.all([work.backlog("connector"), work.backlog("lifecycle")]), ([asked, answered]) => asked + answered)
  const room = Effect.gen(function* () {
    while ((yield* unanswered) > enough) yield* Effect.sleep("50 millis")
  }).pipe(Effect.timeoutOption(longestWait), Effect.ignore)
  const deliver = Effect.gen(function* () {
    while ((yield* actor.tellDue(batch)) === batch) yield* room
  })
  const lived = Effect.andThen(deliver, sleep).pipe(
    Effect.catchCause((cause) => Effect.andThen(Effect.logWarning("deadlines wait", cause), Effect.sleep("500 millis")))
  )
  yield* Effect.forkScoped(Effect.forever(lived))

  const forget = db.query((sql) => sql`delete from lifecycle.inbox where seen_at < now() - ${inboxKept}::interval`)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(forget), Effect.sleep("1 hour"))))
})
