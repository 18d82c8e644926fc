/**
 * Several real nats-servers for tests, each with a copy of every stream.
 *
 * Owns: their addresses together, and which of them leads a stream. Leaves to `NatsServer.ts`: starting, stopping and killing each.
 */
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { jetstreamManager } from "@nats-io/jetstream"
import { ConfigProvider, Effect, type Layer, type Scope } from "effect"
import { Nats, unavailable } from "../Nats.ts"
import { type NatsServer, type NatsServerError, startNats } from "./NatsServer.ts"

export interface NatsCluster {
  readonly servers: ReadonlyArray<NatsServer>
  /** All addresses. */
  readonly url: string
  /** Their addresses, and as many copies as there are servers, for the layers and effects of tests. */
  readonly config: Layer.Layer<never>
}

const serverName = (at: number) => `server-${at}`

export const startCluster = (size = 3): Effect.Effect<NatsCluster, NatsServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const ports = yield* Effect.promise(() => freePorts(2 * size))
    const [own, routes] = [ports.slice(size), ports.slice(0, size)]
    const member = (port: number, at: number) => startNats({ port: own[at]!, cluster: { serverName: serverName(at), port, routes } })
    const servers = yield* Effect.all(routes.map(member), { concurrency: "unbounded" })
    const url = servers.map((server) => server.url).join(",")
    return { servers, url, config: ConfigProvider.layer(ConfigProvider.fromEnvRecord({ NATS_URL: url, CD_NATS_REPLICAS: String(size) })) }
  })

/** Which of the servers leads the stream; fails while none does. */
export const leaderOf = (stream: string) =>
  Effect.flatMap(Nats, ({ connection }) =>
    Effect.tryPromise({
      try: async () => {
        const info = await (await jetstreamManager(connection, { checkAPI: false })).streams.info(stream)
        const at = Number(/\d+$/.exec(info.cluster?.leader ?? "")?.[0])
        if (Number.isNaN(at)) throw new Error(`nobody leads ${stream}`)
        return at
      },
      catch: (cause) => unavailable("leader", cause)
    })
  )
