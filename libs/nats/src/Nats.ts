/**
 * What a service's connection to NATS can do: raw requests, publishes and subscriptions.
 *
 * Owns: requests that survive a reconnection, the state of the connection, headers. Leaves to `connection.ts`: opening it; to `Calls`, `Work`,
 * `Events`, `Kv`: what the messages mean; to `provision.ts`: streams and buckets.
 * Built against: a request that is handed to the client while it reconnects, and is never sent.
 */
import type { Sender } from "@connect-domain/messages/definition.ts"
import { type Msg, headers as makeHeaders, type NatsConnection, NoRespondersError, type Subscription } from "@nats-io/transport-node"
import { Context, Data, Effect, Layer } from "effect"
import { openConnection } from "./connection.ts"

export { inboxPrefix, NatsUnusable, NatsUrl } from "./connection.ts"

/** NATS did not answer in time, is gone, or refuses. What was asked may still have happened: repeat only what is idempotent. */
export class NatsUnavailable extends Data.TaggedError("NatsUnavailable")<{ readonly message: string; readonly cause?: unknown }> {}

export interface RequestOptions {
  readonly timeoutMillis: number
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export class Nats extends Context.Service<
  Nats,
  {
    readonly service: Sender
    /** For the other files of this library. */
    readonly connection: NatsConnection
    /** One reply, in time even while the connection is made again. Rejects with the client's error; see `isNoResponders`. */
    readonly request: (subject: string, data: Uint8Array | string, options: RequestOptions) => Promise<Msg>
    readonly publish: (subject: string, data: Uint8Array | string, headers?: Readonly<Record<string, string>>) => void
    readonly subscribe: (subject: string, onMessage: (message: Msg) => void, queue?: string) => Subscription
    readonly isConnected: () => boolean
    /** Resolves while there is a connection; rejects when there is none in time. What is sent before that is lost. */
    readonly connected: (limitMillis: number) => Promise<void>
    /** Calls `run` after each reconnection, until the function given back is called: what the server kept in memory is gone then. */
    readonly onReconnect: (run: () => void) => () => void
    /** For readiness checks: a round trip to the server, within two seconds. */
    readonly ping: Effect.Effect<void, NatsUnavailable>
  }
>()("nats/Nats") {
  /** Connects as `service`. Waits for a server that is not there yet; fails for one that is unusable. */
  static layer(service: Sender) {
    return Layer.effect(
      Nats,
      Effect.gen(function* () {
        const connection = yield* openConnection(service)
        const nats = make(service, connection)
        yield* Effect.forkScoped(followStatus(connection, nats.state, service))
        return nats.shape
      })
    )
  }
}

interface State {
  connected: boolean
  readonly onReconnect: Set<() => void>
}

const make = (service: Sender, connection: NatsConnection): { readonly shape: Nats["Service"]; readonly state: State } => {
  const state: State = { connected: true, onReconnect: new Set() }
  const shape = Nats.of({
    service,
    connection,
    isConnected: () => state.connected,
    connected: (limitMillis) => (state.connected ? Promise.resolve() : reconnection(state, limitMillis)),
    onReconnect: (run) => {
      state.onReconnect.add(run)
      return () => state.onReconnect.delete(run)
    },
    request: async (subject, data, options) => {
      const deadline = performance.now() + options.timeoutMillis
      if (!state.connected) await reconnection(state, options.timeoutMillis)
      return connection.request(subject, data, {
        timeout: Math.max(1, Math.ceil(deadline - performance.now())),
        ...(options.headers === undefined ? {} : { headers: toHeaders(options.headers) })
      })
    },
    publish: (subject, data, headers) =>
      connection.publish(subject, data, headers === undefined ? undefined : { headers: toHeaders(headers) }),
    subscribe: (subject, onMessage, queue) =>
      connection.subscribe(subject, {
        ...(queue === undefined ? {} : { queue }),
        callback: (error, message) => {
          if (error === null) onMessage(message)
        }
      }),
    ping: Effect.tryPromise({ try: () => connection.flush(), catch: (cause) => unavailable("ping", cause) }).pipe(
      Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.fail(new NatsUnavailable({ message: "no answer to a ping" })) })
    )
  })
  return { shape, state }
}

/** A request that is handed to the client while it is disconnected is lost at the reconnection: it waits here instead. */
const reconnection = (state: State, limitMillis: number) =>
  new Promise<void>((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      state.onReconnect.delete(done)
      resolve()
    }
    const timer = setTimeout(() => {
      state.onReconnect.delete(done)
      reject(new Error("not connected"))
    }, limitMillis)
    state.onReconnect.add(done)
  })

const toHeaders = (record: Readonly<Record<string, string>>) => {
  const headers = makeHeaders()
  for (const name in record) headers.set(name, record[name]!)
  return headers
}

const followStatus = (connection: NatsConnection, state: State, service: Sender) =>
  Effect.gen(function* () {
    const statuses = connection.status()[Symbol.asyncIterator]()
    while (true) {
      const next = yield* Effect.promise(() => statuses.next())
      if (next.done === true) return
      const { type } = next.value
      if (type === "disconnect" || type === "staleConnection") {
        state.connected = false
        yield* Effect.logWarning("NATS connection lost, reconnecting", { service })
      } else if (type === "reconnect") {
        state.connected = true
        for (const run of state.onReconnect) run()
        yield* Effect.logInfo("NATS connection is back", { service })
      } else if (type === "error") {
        yield* Effect.logError("NATS reports an error", { service, error: String(next.value.error) })
      }
    }
  })

export const unavailable = (what: string, cause: unknown): NatsUnavailable =>
  new NatsUnavailable({ message: `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause })

/** Nobody subscribes to the subject: for certain, nothing happened. */
export const isNoResponders = (error: unknown): boolean =>
  error instanceof NoRespondersError || (error instanceof Error && error.cause instanceof NoRespondersError)
