/**
 * Work that must survive its sender: sent with an id and an awaited acknowledgement, handled at least once by one replica.
 *
 * Owns: sending, and what a service writes to consume (`handle`, `Retry`). Leaves to `consume.ts`: acknowledging, redelivery, dead letters;
 * to libs/messages: subjects, schemas, limits; to handlers: being idempotent.
 */
import { type EventDefinition, type ServiceName, subjectOf, type WorkDefinition } from "@connect-domain/messages/definition.ts"
import { workStreamOf } from "@connect-domain/messages/topology.ts"
import { contextHeaders } from "@connect-domain/telemetry/requestContext.ts"
import { type Config, Context, Data, Effect, Layer, type Scope } from "effect"
import { codecOf } from "./codec.ts"
import { consume } from "./consume.ts"
import { Nats, type NatsUnavailable, unavailable } from "./Nats.ts"
import { publishRepeatedly } from "./publish.ts"

/**
 * Fail with this to have the message again after `afterSeconds` (absent: the consumer's back-off). It counts as a delivery; the last one
 * goes to the dead letters. Any other failure does the same, with a warning in the log.
 */
export class Retry extends Data.TaggedError("Retry")<{ readonly afterSeconds?: number; readonly message?: string }> {}

export interface MessageMeta {
  /** The sender's id; the same again for a duplicate. */
  readonly id: string
  readonly subject: string
  /** 1 for the first delivery. */
  readonly delivery: number
  /** A failure now is final: the message goes to the dead letters. */
  readonly last: boolean
  /** Position in the stream. */
  readonly sequence: number
}

type Sendable = WorkDefinition | EventDefinition

/** One kind of message and what to do with it. */
export interface Handler<R = never> {
  readonly definition: Sendable
  // biome-ignore lint/suspicious/noExplicitAny: the payload's type is checked where `handle` is called
  readonly run: (payload: any, meta: MessageMeta) => Effect.Effect<void, unknown, R>
}

export const handle = <D extends Sendable, E, R>(
  definition: D,
  run: (payload: D["payload"]["Type"], meta: MessageMeta) => Effect.Effect<void, E, R>
): Handler<R> => ({ definition, run })

export interface ConsumeOptions {
  /** Messages handled at the same time by this process. Default 32. */
  readonly concurrency?: number
  /** A handler that takes longer is interrupted and counts as failed. Default 300. */
  readonly timeoutSeconds?: number
}

export interface EncodedMessage {
  readonly subject: string
  readonly payload: string
  readonly id: string
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export class Work extends Context.Service<
  Work,
  {
    /**
     * Sends one message and waits until its stream has it. `id` makes repetitions harmless: within the stream's window the server drops
     * the second, beyond it the receiver recognises it.
     */
    readonly send: <D extends Sendable>(
      definition: D,
      payload: D["payload"]["Type"],
      options: { readonly id: string }
    ) => Effect.Effect<void, NatsUnavailable>
    /** As `send`, for the outbox: already encoded. */
    readonly sendEncoded: (message: EncodedMessage) => Effect.Effect<void, NatsUnavailable>
    /**
     * Handles a durable consumer's messages while the scope is open; returns at once. A message is acknowledged after its handler
     * succeeded. `consumer` is a name of `topology.ts`. While Postgres or NATS is unavailable a message is held and tried again here,
     * without using up its deliveries.
     */
    readonly consume: <R = never>(
      consumer: string,
      handlers: ReadonlyArray<Handler<R>>,
      options?: ConsumeOptions
    ) => Effect.Effect<void, Config.ConfigError, R | Scope.Scope>
    /** Messages that a service has not finished yet, waiting or under way. For the lifecycle alone, by permission. */
    readonly backlog: (service: ServiceName) => Effect.Effect<number, NatsUnavailable>
  }
>()("nats/Work") {
  static readonly layer = Layer.effect(
    Work,
    Effect.map(Nats, (nats) => {
      const sendEncoded = ({ subject, payload, id, headers }: EncodedMessage) =>
        Effect.asVoid(publishRepeatedly(nats, subject, payload, { ...headers, "Nats-Msg-Id": id }))
      return Work.of({
        sendEncoded,
        send: (definition, payload, { id }) =>
          Effect.withFiber((fiber) =>
            sendEncoded({
              subject: subjectOf(definition, payload as Readonly<Record<string, unknown>>),
              payload: codecOf(definition.payload).encode(payload),
              id,
              headers: contextHeaders(fiber.context)
            })
          ),
        consume: (consumer, handlers, options) =>
          consume(nats, consumer, handlers, { concurrency: options?.concurrency ?? 32, timeoutSeconds: options?.timeoutSeconds ?? 300 }),
        backlog: (service) =>
          Effect.tryPromise({
            try: async () => {
              const answer = await nats.connection.request(`$JS.API.STREAM.INFO.${workStreamOf(service)}`, "", { timeout: 1_000 })
              return answer.json<{ readonly state: { readonly messages: number } }>().state.messages
            },
            catch: (cause) => unavailable(workStreamOf(service), cause)
          })
      })
    })
  )
}
