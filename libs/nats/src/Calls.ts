/**
 * Request and reply: one service asks another and waits.
 *
 * Owns: how an answer and a refusal travel, queue groups, what silence means. Leaves to libs/messages: subjects, schemas, time limits.
 * Built against: a caller that waits for a service that is not there (`unavailable` at once or after the call's time limit).
 */
import type { CallDefinition } from "@connect-domain/messages/definition.ts"
import { contextHeaders } from "@connect-domain/telemetry/requestContext.ts"
import type { Msg } from "@nats-io/transport-node"
import { Cause, type Config, Context, Data, Effect, Exit, Layer, Result, type Scope } from "effect"
import { codecOf } from "./codec.ts"
import { annotated, get, makeRunner } from "./handling.ts"
import { isNoResponders, Nats } from "./Nats.ts"

/**
 * A refusal. `code` is one of the API's error codes (product.md) and `message` may be shown to the caller; `details` is data for him.
 * `unavailable`: no answer in time; the call may have happened. `internal`: a defect of the other side, its details are in its log.
 */
export class CallError extends Data.TaggedError("CallError")<{
  readonly code: string
  readonly message: string
  readonly details?: unknown
}> {}

type Payload<D extends CallDefinition> = D["payload"]["Type"]
type Success<D extends CallDefinition> = D["success"]["Type"]

export class Calls extends Context.Service<
  Calls,
  {
    /** Asks and waits for `definition.timeoutMillis`, or less: `timeoutMillis`. */
    readonly request: <D extends CallDefinition>(
      definition: D,
      payload: Payload<D>,
      options?: { readonly timeoutMillis?: number }
    ) => Effect.Effect<Success<D>, CallError>
    /**
     * Answers, while the scope is open, together with the service's other replicas. Handlers run concurrently. A defect is logged and
     * answered as `internal`; an invalid payload is answered as `invalid`.
     */
    readonly serve: <D extends CallDefinition, R>(
      definition: D,
      handler: (payload: Payload<D>) => Effect.Effect<Success<D>, CallError, R>
    ) => Effect.Effect<void, Config.ConfigError, R | Scope.Scope>
  }
>()("nats/Calls") {
  static readonly layer = Layer.effect(
    Calls,
    Effect.map(Nats, (nats) =>
      Calls.of({
        request: (definition, payload, options) => request(nats, definition, payload, options?.timeoutMillis ?? definition.timeoutMillis),
        serve: (definition, handler) => serve(nats, definition, handler)
      })
    )
  )
}

/** A reply with this header is a refusal. */
const errorHeader = "cd-error"

/** A call that nobody took has not happened: it is asked again until this much time has passed (a service that restarts). Milliseconds. */
const patience = 1_500

const request = <D extends CallDefinition>(nats: Nats["Service"], definition: D, payload: Payload<D>, timeoutMillis: number) =>
  Effect.withFiber<Success<D>, CallError>((fiber) => {
    const data = codecOf(definition.payload).encode(payload)
    const headers = contextHeaders(fiber.context)
    const deadline = performance.now() + timeoutMillis
    const untaken = performance.now() + Math.min(patience, timeoutMillis)
    return Effect.callback((resume) => {
      let timer: NodeJS.Timeout | undefined
      let gone = false
      const attempt = (gap: number) => {
        const timeout = Math.max(1, Math.ceil(deadline - performance.now()))
        nats.request(definition.subject, data, { timeoutMillis: timeout, headers }).then(
          (reply) => resume(answer(definition, reply)),
          (error: unknown) => {
            if (gone) return
            if (isNoResponders(error) && performance.now() + gap < untaken) {
              timer = setTimeout(attempt, gap, Math.min(gap * 2, 200))
            } else {
              resume(Effect.fail(new CallError({ code: "unavailable", message: `${definition.to} did not answer` })))
            }
          }
        )
      }
      attempt(20)
      return Effect.sync(() => {
        gone = true
        clearTimeout(timer)
      })
    })
  })

const answer = <D extends CallDefinition>(definition: D, reply: Msg): Effect.Effect<Success<D>, CallError> => {
  const code = get(reply.headers, errorHeader)
  if (code !== undefined) {
    const { message, details } = reply.json<{ readonly message: string; readonly details?: unknown }>()
    return Effect.fail(new CallError({ code, message, ...(details === undefined ? {} : { details }) }))
  }
  const decoded = codecOf(definition.success).decode(reply.data)
  return Result.isSuccess(decoded)
    ? Effect.succeed(decoded.success)
    : Effect.andThen(
        Effect.logError(`the answer to ${definition.subject} does not fit its schema: ${decoded.failure}`),
        Effect.fail(new CallError({ code: "internal", message: "internal error" }))
      )
}

const serve = <D extends CallDefinition, R>(
  nats: Nats["Service"],
  definition: D,
  handler: (payload: Payload<D>) => Effect.Effect<Success<D>, CallError, R>
) =>
  Effect.gen(function* () {
    const runner = yield* makeRunner<R>()
    const payloads = codecOf(definition.payload)
    const successes = codecOf(definition.success)
    const onMessage = (message: Msg) => {
      const payload = payloads.decode(message.data)
      if (Result.isFailure(payload)) return refuse(nats, message, new CallError({ code: "invalid", message: payload.failure }))
      const handled = Effect.flatMap(Effect.exit(Effect.suspend(() => handler(payload.success))), (exit) => {
        if (Exit.isSuccess(exit)) {
          return Effect.sync(() => void message.respond(successes.encode(exit.value)))
        }
        const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
        if (failure !== undefined) return Effect.sync(() => refuse(nats, message, failure))
        if (Cause.hasInterruptsOnly(exit.cause)) {
          return Effect.sync(() => refuse(nats, message, new CallError({ code: "unavailable", message: "shutting down" })))
        }
        return Effect.andThen(
          Effect.logError(`${definition.subject} failed`, exit.cause),
          Effect.sync(() => refuse(nats, message, new CallError({ code: "internal", message: "internal error" })))
        )
      })
      const encoded = Effect.catchDefect(handled, (defect) =>
        Effect.andThen(
          Effect.logError(`the answer of ${definition.subject} does not fit its schema`, defect),
          Effect.sync(() => refuse(nats, message, new CallError({ code: "internal", message: "internal error" })))
        )
      )
      runner.run(definition.subject, message.headers, annotated(payload.success, encoded))
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => nats.subscribe(definition.subject, onMessage, definition.to)),
      (subscription) =>
        Effect.ignore(
          Effect.timeout(
            Effect.tryPromise(() => subscription.drain()),
            "500 millis"
          )
        )
    )
  })

const refuse = (nats: Nats["Service"], message: Msg, error: CallError): void => {
  if (message.reply === undefined || message.reply === "") return
  nats.publish(message.reply, JSON.stringify({ message: error.message, details: error.details }), { [errorHeader]: error.code })
}
