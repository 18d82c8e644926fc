/**
 * One connection to NATS per service, under that service's own user.
 *
 * Owns: connecting, reconnecting for ever, the version gate, raw requests and publishes. Leaves to `Calls`, `Work`, `Events`, `Kv`: what the
 * messages mean; to `provision.ts`: streams and buckets.
 * Built against: a client that gives up after ten tries, a server too old to expire keys, and a process that starts before its server.
 */
import type { Sender } from "@connect-domain/messages/definition.ts"
import {
  connect,
  type Msg,
  headers as makeHeaders,
  type NatsConnection,
  NoRespondersError,
  nkeyAuthenticator,
  type Subscription
} from "@nats-io/transport-node"
import { Config, Context, Data, Effect, Layer, Option, Redacted } from "effect"

/** Address of NATS: `nats://host:port`, several separated by commas. No default. */
export const NatsUrl = Config.String("NATS_URL")

/** The nkey seed of a service's NATS user, `CD_<SERVICE>_NATS_SEED`. Unset: no authentication (tests only). */
export const natsSeed = (service: Sender) => Config.Redacted(`CD_${service.toUpperCase()}_NATS_SEED`)

/** PEM file with the CA of a NATS server that speaks TLS. Unset: TLS as the address says, with the system's CAs. */
export const NatsCaFile = Config.String("CD_NATS_CA_FILE")

/** NATS did not answer in time, is gone, or refuses. What was asked may still have happened: repeat only what is idempotent. */
export class NatsUnavailable extends Data.TaggedError("NatsUnavailable")<{ readonly message: string; readonly cause?: unknown }> {}

/** The server can't be used at all: too old, or it refuses this user. Starting again does not help. */
export class NatsUnusable extends Data.TaggedError("NatsUnusable")<{ readonly message: string }> {}

/** Per-key TTLs with delete markers came with 2.11, repaired in 2.12. */
const minimumVersion = [2, 12] as const

/** The prefix of a user's reply subjects: only that user may subscribe to it. */
export const inboxPrefix = (service: Sender): string => `_INBOX_${service}`

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
        const servers = (yield* NatsUrl).split(",").map((server) => server.trim())
        const seed = yield* Config.option(natsSeed(service))
        const caFile = yield* Config.option(NatsCaFile)
        const connection = yield* Effect.acquireRelease(
          open({
            servers,
            service,
            seed: Option.isSome(seed) ? Redacted.value(seed.value) : undefined,
            caFile: Option.getOrUndefined(caFile)
          }),
          (connection) => Effect.promise(() => close(connection))
        )
        yield* refuseOldServer(connection)
        const nats = make(service, connection)
        yield* Effect.forkScoped(followStatus(connection, nats.state, service))
        return nats.shape
      })
    )
  }
}

const open = (options: {
  readonly servers: Array<string>
  readonly service: Sender
  readonly seed: string | undefined
  readonly caFile: string | undefined
}) =>
  Effect.tryPromise({
    try: () =>
      connect({
        servers: options.servers,
        name: `connect-domain ${options.service}`,
        inboxPrefix: inboxPrefix(options.service),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 150,
        waitOnFirstConnect: true,
        ignoreAuthErrorAbort: true,
        noAsyncTraces: true,
        pingInterval: 10_000,
        maxPingOut: 2,
        timeout: 3_000,
        ...(options.seed === undefined ? {} : { authenticator: nkeyAuthenticator(new TextEncoder().encode(options.seed)) }),
        ...(options.caFile === undefined ? {} : { tls: { caFile: options.caFile } })
      }),
    catch: (error) => new NatsUnusable({ message: `NATS refused ${options.service}: ${String(error)}` })
  })

const close = (connection: NatsConnection) =>
  Promise.race([
    connection.drain().catch(() => connection.close()),
    new Promise<void>((resolve) => setTimeout(resolve, 2_000).unref()).then(() => connection.close())
  ])

/** Whether a server of this version can be used; exported for its test. */
export const isSupportedVersion = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10))
  return major > minimumVersion[0] || (major === minimumVersion[0] && minor >= minimumVersion[1])
}

const refuseOldServer = (connection: NatsConnection) => {
  const version = connection.info?.version ?? "0"
  return isSupportedVersion(version)
    ? Effect.void
    : Effect.fail(new NatsUnusable({ message: `nats-server ${version} is too old: ${minimumVersion.join(".")} or newer is needed` }))
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
