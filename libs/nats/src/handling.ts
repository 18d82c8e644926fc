/**
 * Running a handler for each message that arrives: with the sender's request id and trace, in fibers that end with their scope.
 *
 * Owns: the bridge from the client's callbacks to fibers. Leaves to `Calls` and `Work`: what the outcome means.
 */
import { contextFromHeaders, requestIdHeader, traceparentHeader } from "@connect-domain/telemetry/requestContext.ts"
import { OtlpEndpoint } from "@connect-domain/telemetry/Telemetry.ts"
import type { MsgHdrs } from "@nats-io/transport-node"
import { type Config, type Context, Effect, FiberSet, Option, type Scope } from "effect"

export interface Runner<R> {
  /** Starts `effect` for a message with these headers. */
  readonly run: (name: string, headers: MsgHdrs | undefined, effect: Effect.Effect<void, never, R>) => void
  /** Waits until no handler runs, at most five seconds. */
  readonly idle: Effect.Effect<void>
}

/** A runner whose fibers are interrupted when the scope closes, after five seconds of grace. */
export const makeRunner = <R>(): Effect.Effect<Runner<R>, Config.ConfigError, R | Scope.Scope> =>
  Effect.gen(function* () {
    // With a collector each handled message is a span of its own; without one only the ids travel.
    const traced = Option.isSome(yield* OtlpEndpoint)
    const fibers = yield* FiberSet.make<void, never>()
    const context = yield* Effect.context<R>()
    const idle = FiberSet.awaitEmpty(fibers).pipe(Effect.timeoutOption("5 seconds"), Effect.asVoid)
    yield* Effect.addFinalizer(() => idle)
    return {
      idle,
      run: (name, headers, effect) => {
        const services: Context.Context<R> = contextFromHeaders(context, get(headers, requestIdHeader), get(headers, traceparentHeader))
        const handled = traced ? Effect.withSpan(effect, name, { kind: "consumer" }) : effect
        FiberSet.addUnsafe(fibers, Effect.runForkWith(services)(handled))
      }
    }
  })

/** The header, or undefined; the client gives "" for an absent one. */
export const get = (headers: MsgHdrs | undefined, name: string): string | undefined => headers?.get(name) || undefined

/** Log lines about a message that names a connection carry its id. */
export const annotated = <A, E, R>(payload: unknown, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const id = (payload as { readonly connection_id?: unknown } | null | undefined)?.connection_id
  return typeof id === "string" ? Effect.annotateLogs(effect, "connection_id", id) : effect
}
