/**
 * One durable consumer's messages, from delivery to acknowledgement.
 *
 * Owns: how many run at once, acknowledging after success, waiting before redelivery, dead letters, progress signs for long work.
 * Leaves to the server: who gets which message, and redelivery after a crash.
 * Built against: a handler that fails for ever (dead letter at the last delivery, written by us: the server's advisory is best effort), a
 * database that is down for longer than the deliveries last (held here), a stream that was wiped under the consumer (opened again).
 */
import { type ConsumerTopology, consumers, deadSubject } from "@connect-domain/messages/topology.ts"
import { type JsMsg, jetstream } from "@nats-io/jetstream"
import { Cause, Effect, Exit, Result, Schedule, type Scope } from "effect"
import { codecOf } from "./codec.ts"
import { get, makeRunner } from "./handling.ts"
import { type Nats, unavailable } from "./Nats.ts"
import { publishRepeatedly } from "./publish.ts"
import type { Handler, MessageMeta } from "./Work.ts"

export const consume = <R>(nats: Nats["Service"], name: string, handlers: ReadonlyArray<Handler<R>>, concurrency: number) =>
  Effect.gen(function* () {
    const topology = consumers.find((consumer) => consumer.name === name)
    if (topology === undefined) return yield* Effect.die(new Error(`no consumer is named ${name}`))
    const runner = yield* makeRunner<R>()
    const running = yield* progressSigns(topology)
    const slots = makeSlots(concurrency)
    const process = makeProcess(nats, topology, handlers)
    const onMessage = (message: JsMsg) => {
      running.add(message)
      const done = () => {
        running.delete(message)
        slots.release()
      }
      runner.run(topology.name, message.headers, Effect.ensuring(process(message), Effect.sync(done)))
    }
    yield* readForEver(nats, topology, concurrency, slots, onMessage).pipe(Effect.forkScoped)
  })

interface Slots {
  readonly take: () => Promise<void>
  readonly release: () => void
}

const makeSlots = (count: number): Slots => {
  let free = count
  const waiting: Array<() => void> = []
  return {
    take: () => {
      if (free === 0) return new Promise((resolve) => waiting.push(resolve))
      free--
      return Promise.resolve()
    },
    release: () => {
      const next = waiting.shift()
      next === undefined ? free++ : next()
    }
  }
}

/** Reads messages; opens the consumer again, for ever, when it is not there yet or its reading ends. */
const readForEver = (
  nats: Nats["Service"],
  topology: ConsumerTopology,
  concurrency: number,
  slots: Slots,
  onMessage: (message: JsMsg) => void
) => {
  const lost = (cause: unknown) => unavailable(topology.name, cause)
  const readOne = (iterator: AsyncIterator<JsMsg>) =>
    Effect.tryPromise({ try: () => iterator.next(), catch: lost }).pipe(
      Effect.flatMap((next) => (next.done === true ? Effect.fail(lost("reading ended")) : Effect.sync(() => onMessage(next.value)))),
      Effect.onError(() => Effect.sync(slots.release))
    )
  return Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => open(nats, topology, concurrency), catch: lost }),
    ({ messages }) => {
      const iterator = messages[Symbol.asyncIterator]()
      return Effect.forever(Effect.andThen(Effect.promise(slots.take), readOne(iterator)))
    },
    ({ messages, stopListening }) =>
      Effect.promise(() => {
        stopListening()
        return Promise.race([messages.close(), pause(500)])
      })
  ).pipe(
    Effect.tapError((error) => Effect.logDebug(`consumer ${topology.name} is not readable, trying again`, error.message)),
    Effect.retry(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]).pipe(Schedule.jittered))
  )
}

/** After a reconnection the consumer may be gone, and its outstanding request certainly is: reading ends, and starts again. */
const open = async (nats: Nats["Service"], topology: ConsumerTopology, concurrency: number) => {
  const client = jetstream(nats.connection, { timeout: 2_000 })
  const consumer = await client.consumers.get(topology.stream, topology.name)
  const messages = await consumer.consume({
    max_messages: Math.max(2, concurrency),
    expires: 30_000,
    idle_heartbeat: 5_000,
    abort_on_missing_resource: true
  })
  return { messages, stopListening: nats.onReconnect(() => void messages.close()) }
}

/** Tells the server that work goes on, for messages that take longer than a third of the time after which it would deliver them again. */
const progressSigns = (
  topology: ConsumerTopology
): Effect.Effect<Map<JsMsg, number> & { add: (message: JsMsg) => void }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const interval = (topology.ackWaitSeconds * 1_000) / 3
      const running = Object.assign(new Map<JsMsg, number>(), {
        add: (message: JsMsg) => void running.set(message, performance.now())
      })
      const timer = setInterval(() => {
        const old = performance.now() - interval / 2
        for (const [message, since] of running) if (since < old) message.working()
      }, interval)
      return { running, timer }
    }),
    ({ timer }) => Effect.sync(() => clearInterval(timer))
  ).pipe(Effect.map(({ running }) => running))

const makeProcess = <R>(nats: Nats["Service"], topology: ConsumerTopology, handlers: ReadonlyArray<Handler<R>>) => {
  const find = makeFinder(handlers)
  return (message: JsMsg): Effect.Effect<void, never, R> => {
    const meta = metaOf(topology, message)
    const handler = find(message.subject)
    if (handler === undefined) return bury(nats, message, meta, topology, "nobody handles this subject")
    const payload = codecOf(handler.definition.payload).decode(message.data)
    if (Result.isFailure(payload)) return bury(nats, message, meta, topology, `invalid payload: ${payload.failure}`)
    const attempt = Effect.suspend(() => handler.run(payload.success, meta))
    return Effect.flatMap(Effect.exit(holdWhileUnavailable(attempt, topology)), (exit) => {
      if (Exit.isSuccess(exit)) return Effect.sync(() => message.ack())
      if (Cause.hasInterruptsOnly(exit.cause)) return Effect.sync(() => message.nak(100))
      return failed(nats, message, meta, topology, exit.cause)
    })
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
  const again = Effect.sync(() => message.nak(Math.max(1, Math.round(delay * 1_000 * (0.9 + Math.random() * 0.2)))))
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
    Effect.ignore
  )

const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis).unref())
