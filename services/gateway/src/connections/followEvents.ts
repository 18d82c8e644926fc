/**
 * One connection's events as server-sent events: first what happened, then what happens.
 *
 * Owns: the stream: `id` is the event's id (a reconnecting browser sends it back as Last-Event-ID), a comment every 15 s keeps proxies
 * from closing it. Woken by NATS; what NATS missed is read from the log at the next comment. Ends when its credential does.
 */
import type { Database } from "@connect-domain/database/Database.ts"
import { connectionEvent } from "@connect-domain/messages/events.ts"
import type { Events } from "@connect-domain/nats/Events.ts"
import { Effect, Queue, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import type { Caller } from "../auth/Caller.ts"
import type { Keys } from "../auth/Keys.ts"
import { type ApiEvent, eventFromMessage, readConnectionEvents } from "./readEvents.ts"

const heartbeat = "15 seconds"
const batch = 100

const write = (event: ApiEvent): string => `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

export interface Follow {
  readonly caller: Caller
  readonly connectionId: string
  /** The last sequence that the reader has. */
  readonly after: number
}

export const followEvents = (
  database: Database["Service"],
  events: Events["Service"],
  keys: Keys["Service"],
  follow: Follow
): HttpServerResponse.HttpServerResponse => {
  const { caller, connectionId } = follow
  let sequence = follow.after
  const take = (list: ReadonlyArray<ApiEvent>): string => {
    const fresh = list.filter((event) => event.sequence > sequence)
    sequence = fresh.at(-1)?.sequence ?? sequence
    return fresh.map(write).join("")
  }
  const readAll: Effect.Effect<string> = Effect.suspend(() =>
    readConnectionEvents(database, caller.tenant_id, connectionId, sequence, batch)
  ).pipe(
    Effect.flatMap((rows) => {
      const text = take(rows)
      return rows.length < batch ? Effect.succeed(text) : Effect.map(readAll, (more) => text + more)
    }),
    Effect.orElseSucceed(() => "")
  )
  const live = Stream.unwrap(
    Effect.gen(function* () {
      const woken = yield* Queue.unbounded<ApiEvent>()
      yield* Effect.forkScoped(
        Stream.runForEach(events.listen(connectionEvent, { tenant_id: caller.tenant_id, connection_id: connectionId }), (message) =>
          Queue.offer(woken, eventFromMessage(message))
        )
      )
      const next: Effect.Effect<string> = Queue.take(woken).pipe(
        Effect.timeoutOrElse({ duration: heartbeat, orElse: () => Effect.succeed(undefined) }),
        Effect.flatMap((event) => {
          if (event === undefined) return Effect.map(readAll, (text) => (text === "" ? ": still here\n\n" : text))
          if (event.sequence <= sequence) return Effect.succeed("")
          return event.sequence === sequence + 1 ? Effect.succeed(take([event])) : Effect.map(readAll, (text) => text + take([event]))
        })
      )
      const alive = Effect.map(keys.findById(caller.key_id), (key) => key !== undefined).pipe(Effect.orElseSucceed(() => true))
      return Stream.concat(
        Stream.fromEffect(Effect.map(readAll, (text) => `retry: 2000\n\n${text}`)),
        Stream.fromEffectRepeat(next).pipe(Stream.takeWhileEffect(() => alive))
      )
    })
  )
  return HttpServerResponse.stream(
    live.pipe(
      Stream.filter((text) => text !== ""),
      Stream.encodeText
    ),
    {
      contentType: "text/event-stream",
      headers: { "x-accel-buffering": "no" }
    }
  )
}
