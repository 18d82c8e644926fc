/**
 * One message, from its handler to its acknowledgement.
 *
 * Owns: finding the handler, holding the message while what it needs is down, when it comes again, dead letters.
 * Built against: a handler that fails for ever (dead letter at the last delivery, written by us: the server's advisory is best effort), a
 * database that is down for longer than the deliveries last, and a redelivery without delay (the server ignores its own back-off then).
 */
import { type ConsumerTopology, deadSubject } from "@connect-domain/messages/topology.ts"
import type { JsMsg } from "@nats-io/jetstream"
import { Cause, Effect, Exit, Metric, Result, Schedule } from "effect"
import { codecOf } from "./codec.ts"
import { annotated, get } from "./handling.ts"
import type { Nats } from "./Nats.ts"
import { publishRepeatedly } from "./publish.ts"
import type { Handler, MessageMeta } from "./Work.ts"

const outcomes = Metric.counter("work_messages_total", {
  description: "messages by consumer and outcome (handled, again, dead)",
  incremental: true
})

/** What becomes of one message: the Effect never fails, its last step tells the server. */
export const makeDelivery = <R>(
  nats: Nats["Service"],
  topology: ConsumerTopology,
  handlers: ReadonlyArray<Handler<R>>,
  timeoutSeconds: number
) => {
  const find = makeFinder(handlers)
  const handled = Metric.withAttributes(outcomes, { consumer: topology.name, outcome: "handled" })
  return (message: JsMsg): Effect.Effect<void, never, R> => {
    const meta = metaOf(topology, message)
    const handler = find(message.subject)
    if (handler === undefined) return bury(nats, message, meta, topology, "nobody handles this subject")
    const payload = codecOf(handler.definition.payload).decode(message.data)
    if (Result.isFailure(payload)) return bury(nats, message, meta, topology, `invalid payload: ${payload.failure}`)
    const attempt = Effect.timeoutOrElse(
      Effect.suspend(() => handler.run(payload.success, meta)),
      { duration: timeoutSeconds * 1_000, orElse: () => Effect.fail(new Error(`not done after ${timeoutSeconds} s`)) }
    )
    const back = Effect.sync(() => message.nak(100))
    const delivered = Effect.exit(holdWhileUnavailable(attempt, topology)).pipe(
      Effect.flatMap((exit) => {
        if (Exit.isSuccess(exit))
          return Effect.andThen(
            Effect.sync(() => message.ack()),
            Metric.update(handled, 1)
          )
        return Cause.hasInterruptsOnly(exit.cause) ? back : failed(nats, message, meta, topology, exit.cause)
      }),
      // A service that shuts down gives its messages to the next one.
      Effect.onInterrupt(() => back)
    )
    return annotated(payload.success, delivered)
  }
}

/** Exact for work (its first six tokens name actor and verb), by prefix for events. */
const makeFinder = <R>(handlers: ReadonlyArray<Handler<R>>) => {
  const exact = new Map<string, Handler<R>>()
  for (const handler of handlers)
    exact.set(
      handler.definition.subject
        .split(".")
        .slice(0, handler.definition.kind === "work" ? 6 : 3)
        .join("."),
      handler
    )
  return (subject: string): Handler<R> | undefined => {
    const tokens = subject.split(".")
    return exact.get(tokens.slice(0, 6).join(".")) ?? exact.get(tokens.slice(0, 3).join("."))
  }
}

const metaOf = (topology: ConsumerTopology, message: JsMsg): MessageMeta => {
  const { deliveryCount, streamSequence } = message.info
  return {
    id: get(message.headers, "Nats-Msg-Id") ?? `${topology.stream}.${streamSequence}`,
    subject: message.subject,
    delivery: deliveryCount,
    last: deliveryCount >= topology.maxDeliver,
    sequence: streamSequence
  }
}

/** How long a message is held while what it needs is down. After that it goes back to the server, for this or another replica. */
const heldFor = "10 minutes"

const isUnavailable = (error: unknown): boolean => {
  const tagged = error as { readonly _tag?: string; readonly reason?: unknown } | null
  return tagged?._tag === "NatsUnavailable" || (tagged?._tag === "DatabaseError" && tagged.reason === "Unavailable")
}

const holdWhileUnavailable = <R>(attempt: Effect.Effect<void, unknown, R>, topology: ConsumerTopology) => {
  let warned = false
  const warn = (error: unknown) => {
    if (warned || !isUnavailable(error)) return Effect.void
    warned = true
    return Effect.logWarning(`${topology.name} holds a message until what it needs is back`, error)
  }
  return Effect.retry(Effect.tapError(attempt, warn), {
    while: isUnavailable,
    schedule: Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")]).pipe(
      Schedule.jittered,
      Schedule.upTo({ duration: heldFor })
    )
  })
}

const failed = (nats: Nats["Service"], message: JsMsg, meta: MessageMeta, topology: ConsumerTopology, cause: Cause.Cause<unknown>) => {
  const error = cause.reasons.find(Cause.isFailReason)?.error as
    | { readonly _tag?: string; readonly afterSeconds?: number; readonly message?: string }
    | undefined
  const asked = error?._tag === "Retry"
  const reason = asked ? (error.message ?? "asked to be tried again") : Cause.pretty(cause)
  if (meta.last) return bury(nats, message, meta, topology, reason)
  const { backoffSeconds } = topology
  const delay = (asked ? error.afterSeconds : undefined) ?? backoffSeconds[Math.min(meta.delivery, backoffSeconds.length) - 1] ?? 1
  const again = Effect.andThen(
    Metric.update(Metric.withAttributes(outcomes, { consumer: topology.name, outcome: "again" }), 1),
    Effect.sync(() => message.nak(Math.max(1, Math.round(delay * 1_000 * (0.9 + Math.random() * 0.2)))))
  )
  return asked
    ? again
    : Effect.andThen(Effect.logWarning(`${meta.subject} failed, delivery ${meta.delivery}, again in ${delay} s`, cause), again)
}

/** To the dead letters, and then away from the queue. Until the dead letter is stored the message stays. */
const bury = (nats: Nats["Service"], message: JsMsg, meta: MessageMeta, topology: ConsumerTopology, reason: string) =>
  publishRepeatedly(nats, deadSubject(message.subject), message.data, {
    "Nats-Msg-Id": `${topology.name}.${meta.id}.${meta.sequence}`,
    "cd-message-id": meta.id,
    "cd-consumer": topology.name,
    "cd-deliveries": String(meta.delivery),
    "cd-reason": reason.replace(/[\r\n]+\s*/g, " | ").slice(0, 2_000)
  }).pipe(
    Effect.retry(Schedule.spaced("5 seconds")),
    Effect.andThen(Effect.logError(`${meta.subject} goes to the dead letters`, { reason, delivery: meta.delivery, id: meta.id })),
    Effect.andThen(Effect.sync(() => message.term(reason.slice(0, 80).replace(/[^ -~]/g, " ")))),
    Effect.andThen(Metric.update(Metric.withAttributes(outcomes, { consumer: topology.name, outcome: "dead" }), 1)),
    Effect.ignore
  )
