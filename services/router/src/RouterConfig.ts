/**
 * The router's settings, each with its default and meaning.
 *
 * Owns: names and formats. Leaves to `AccessLog.ts`, libs/secrets, libs/egress and libs/nats: their own settings.
 */
import { hostname } from "node:os"
import { wrongSetting } from "@connect-domain/domain/Setting.ts"
import { type Network, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { Config, ConfigProvider, Effect, Option } from "effect"
import type { Address } from "./tls/Listeners.ts"

const listen = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?([0-9]{1,5})$/

/** `host:port`, `[v6]:port` or `port`; without a host: all addresses. */
export const parseListen = (text: string): Address | undefined => {
  const parts = listen.exec(text.trim())
  if (parts === null || Number(parts[2]) > 65_535) return undefined
  const host = parts[1]?.replace(/^\[|\]$/g, "")
  return { port: Number(parts[2]), ...(host === undefined || host === "" || host === "*" ? {} : { host }) }
}

/**
 * `CD_EDGE_REUSE_PORT` (false): several router processes share the two ports, one per core, and a new one starts before the old one drains. Linux.
 * Each needs a `CD_EDGE_ID` and a snapshot folder of its own, and does not start without. With `net.ipv4.tcp_migrate_req=1` not even a connection
 * that was just being made is lost.
 */
export const ReusePort = Config.Boolean("CD_EDGE_REUSE_PORT").pipe(Config.withDefault(false))

const addressOf = (name: string, read: Config.Config<string>) =>
  Effect.flatMap(Effect.all([read, ReusePort]), ([text, reusePort]) => {
    const address = parseListen(text)
    if (address === undefined) return wrongSetting(name, `${text} is not an address such as 0.0.0.0:443`)
    return Effect.succeed({ ...address, reusePort })
  })

/** `CD_EDGE_HTTP_LISTEN` (`:80`): where ACME challenges and redirects to HTTPS are answered. */
export const HttpListenText = Config.String("CD_EDGE_HTTP_LISTEN").pipe(Config.withDefault(":80"))
export const HttpListen = addressOf("CD_EDGE_HTTP_LISTEN", HttpListenText)
/** `CD_EDGE_HTTPS_LISTEN` (`:443`): the TLS listener. */
export const HttpsListenText = Config.String("CD_EDGE_HTTPS_LISTEN").pipe(Config.withDefault(":443"))
export const HttpsListen = addressOf("CD_EDGE_HTTPS_LISTEN", HttpsListenText)
/** `CD_PUBLIC_HTTPS_PORT` (443): the port that clients reach the TLS listener at; it stands in redirects. */
export const PublicHttpsPort = Config.Port("CD_PUBLIC_HTTPS_PORT").pipe(Config.withDefault(443))
/** `CD_EDGE_ID` (the machine's name): this edge in the `edges` bucket; one per process. Without a default where processes share ports. */
export const EdgeId = Effect.gen(function* () {
  const given = yield* Config.option(Config.String("CD_EDGE_ID"))
  if (Option.isSome(given)) return given.value
  if (yield* Effect.orElseSucceed(ReusePort, () => false)) {
    return yield* wrongSetting("CD_EDGE_ID", "is missing, and processes that share ports (CD_EDGE_REUSE_PORT) must not share an id")
  }
  return hostname().replace(/[^A-Za-z0-9_-]/g, "-")
})
/** `CD_EDGE_SNAPSHOT_DIR` (none): folder for the registry's snapshot; without it an edge needs NATS to start serving. */
export const SnapshotDir = Config.option(Config.String("CD_EDGE_SNAPSHOT_DIR"))
/** `CD_EDGE_CONTEXT_MIB` (512): memory for the TLS contexts of hot certificates. */
export const ContextMebibytes = Config.Int("CD_EDGE_CONTEXT_MIB").pipe(Config.withDefault(512))
/** `CD_EDGE_MAX_CONNECTIONS` (20000): client connections per listener. More are closed at once; on port 80 the oldest is closed instead. */
export const MaxConnections = Config.Int("CD_EDGE_MAX_CONNECTIONS").pipe(Config.withDefault(20_000))
/** `CD_EDGE_ORIGIN_CONNECTIONS` (512): connections to one origin of one tenant; at that many, further requests wait. */
export const OriginConnections = Config.Int("CD_EDGE_ORIGIN_CONNECTIONS").pipe(Config.withDefault(512))
/** `CD_EDGE_ORIGIN_QUEUE` (512): requests that may wait for one origin, clients by turns; more get 503. 0: none waits. */
export const OriginQueue = Config.Int("CD_EDGE_ORIGIN_QUEUE").pipe(Config.withDefault(512))
/** `CD_EDGE_ORIGIN_QUEUE_SECONDS` (5): how long each of them waits; then it gets 503. */
export const OriginQueueSeconds = Config.Finite("CD_EDGE_ORIGIN_QUEUE_SECONDS").pipe(Config.withDefault(5))
/** `CD_EDGE_CLIENT_CONNECTIONS` (1000): connections of one client address (of one /64 for IPv6) per listener; more as for all. */
export const ClientConnections = Config.Int("CD_EDGE_CLIENT_CONNECTIONS").pipe(Config.withDefault(1000))
/** `CD_EDGE_PROXY_TRUSTED` (none): networks of balancers that send a PROXY header; when set, nobody else is served. */
export const TrustedNetworks = Effect.gen(function* () {
  const texts = (yield* Config.String("CD_EDGE_PROXY_TRUSTED").pipe(Config.withDefault(""))).split(",").filter((text) => text.trim() !== "")
  const networks = texts.map(parseNetwork)
  const wrong = networks.indexOf(undefined)
  if (wrong < 0) return networks.length === 0 ? undefined : (networks as ReadonlyArray<Network>)
  return yield* Config.fail(
    new ConfigProvider.SourceError({ message: `CD_EDGE_PROXY_TRUSTED: ${texts[wrong]} is not a network such as 10.0.0.0/8` })
  )
})
/** `CD_EDGE_HTTP2` (`own`): the HTTP/2 codec: the edge's own, or `node` for node:http2. */
export const Http2Setting = Config.Literals(["own", "node"], "CD_EDGE_HTTP2").pipe(Config.withDefault("own" as const))
/** `CD_EDGE_DRAIN_SECONDS` (20): how long requests in flight may take after SIGTERM. */
export const DrainSeconds = Config.Finite("CD_EDGE_DRAIN_SECONDS").pipe(Config.withDefault(20))
/** `CD_EDGE_ORIGIN_CA_FILE` (none): PEM file of further roots that https origins may chain to. */
export const OriginCaFile = Config.option(Config.String("CD_EDGE_ORIGIN_CA_FILE"))
/** `CD_EDGE_ORIGIN_CONNECT_SECONDS` (5): for opening a connection to an origin, TLS included. */
export const OriginConnectSeconds = Config.Finite("CD_EDGE_ORIGIN_CONNECT_SECONDS").pipe(Config.withDefault(5))
/** `CD_EDGE_ORIGIN_RESPONSE_SECONDS` (60): from a request to the head of its answer. */
export const OriginResponseSeconds = Config.Finite("CD_EDGE_ORIGIN_RESPONSE_SECONDS").pipe(Config.withDefault(60))
/** `CD_EDGE_ORIGIN_IDLE_SECONDS` (300): between two pieces of an answer; event streams that are silent longer are cut. */
export const OriginIdleSeconds = Config.Finite("CD_EDGE_ORIGIN_IDLE_SECONDS").pipe(Config.withDefault(300))
/** `CD_EDGE_TRACE_RATIO` (1): part of the proxied requests whose spans are exported where a collector is configured, whatever clients ask for. */
export const TraceRatio = Config.Finite("CD_EDGE_TRACE_RATIO").pipe(Config.withDefault(1))
