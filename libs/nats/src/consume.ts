/**
 * Reading one durable consumer's messages, for as long as its scope is open.
 *
 * Owns: how many run at once, opening the consumer again, progress signs for long work. Leaves to `deliver.ts`: one message, from handler to
 * acknowledgement; to the server: who gets which message, and redelivery after a crash.
 * Built against: a stream that was wiped under its consumer, a server that restarts, and a handler that works longer than the server waits.
 */
import { type ConsumerTopology, consumers } from "@connect-domain/messages/topology.ts"
import { type JsMsg, jetstream } from "@nats-io/jetstream"
import { Effect, type Scope } from "effect"
import { makeDelivery } from "./deliver.ts"
import { makeRunner } from "./handling.ts"
import { type Nats, unavailable } from "./Nats.ts"
import type { ConsumeOptions, Handler } from "./Work.ts"

export const consume = <R>(nats: Nats["Service"], name: string, handlers: ReadonlyArray<Handler<R>>, options: Required<ConsumeOptions>) =>
  Effect.gen(function* () {
    const topology = consumers.find((consumer) => consumer.name === name)
    if (topology === undefined) return yield* Effect.die(new Error(`no consumer is named ${name}`))
    const runner = yield* makeRunner<R>()
    const running = yield* progressSigns(topology)
    const slots = makeSlots(options.concurrency)
    const deliver = makeDelivery(nats, topology, handlers, options.timeoutSeconds)
    const onMessage = (message: JsMsg) => {
      running.add(message)
      const done = () => {
        running.delete(message)
        slots.release()
      }
      runner.run(topology.name, message.headers, Effect.ensuring(deliver(message), Effect.sync(done)))
    }
    yield* readForEver(nats, topology, options.concurrency, slots, onMessage).pipe(Effect.forkScoped)
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
  let failures = 0
  const read = Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => open(nats, topology, concurrency), catch: lost }),
    ({ messages }) => {
      failures = 0
      const iterator = messages[Symbol.asyncIterator]()
      return Effect.forever(Effect.andThen(Effect.promise(slots.take), readOne(iterator)))
    },
    ({ messages, stopListening }) =>
      Effect.sync(() => {
        stopListening()
        // Its promise resolves for a reader only, and nobody reads any more.
        void messages.close()
      })
  )
  const wait = Effect.suspend(() => Effect.sleep(Math.min(1_000, 25 * 2 ** Math.min(failures++, 6)) * (0.75 + Math.random() / 2)))
  return Effect.forever(
    Effect.catch(read, (error) => Effect.andThen(Effect.logDebug(`consumer ${topology.name}: ${error.message}, reading again`), wait))
  )
}

/** After a reconnection the consumer may be gone, and its outstanding request certainly is: reading ends, and starts again. */
const open = async (nats: Nats["Service"], topology: ConsumerTopology, concurrency: number) => {
  await nats.connected(60_000)
  const client = jetstream(nats.connection, { timeout: 1_000 })
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
