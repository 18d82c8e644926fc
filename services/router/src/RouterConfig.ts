/**
 * The router's settings, each with its default and meaning.
 *
 * Owns: names and formats. Leaves to `AccessLog.ts`, libs/secrets, libs/egress and libs/nats: their own settings.
 */
import { hostname } from "node:os"
import { Config, ConfigProvider, Effect } from "effect"
import type { Address } from "./tls/Listeners.ts"

const listen = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?([0-9]{1,5})$/

/** `host:port`, `[v6]:port` or `port`; without a host: all addresses. */
export const parseListen = (text: string): Address | undefined => {
  const parts = listen.exec(text.trim())
  if (parts === null || Number(parts[2]) > 65_535) return undefined
  const host = parts[1]?.replace(/^\[|\]$/g, "")
  return { port: Number(parts[2]), ...(host === undefined || host === "" || host === "*" ? {} : { host }) }
}

const Listen = (name: string, standard: string) =>
  Effect.gen(function* () {
    const text = yield* Config.String(name).pipe(Config.withDefault(standard))
    const address = parseListen(text)
    if (address !== undefined) return address
    return yield* Config.fail(new ConfigProvider.SourceError({ message: `${name}: ${text} is not an address such as 0.0.0.0:443` }))
  })

/** `CD_EDGE_HTTP_LISTEN` (`:80`): where ACME challenges and redirects to HTTPS are answered. */
export const HttpListen = Listen("CD_EDGE_HTTP_LISTEN", ":80")
/** `CD_EDGE_HTTPS_LISTEN` (`:443`): the TLS listener. */
export const HttpsListen = Listen("CD_EDGE_HTTPS_LISTEN", ":443")
/** `CD_PUBLIC_HTTPS_PORT` (443): the port that clients reach the TLS listener at; it stands in redirects. */
export const PublicHttpsPort = Config.Port("CD_PUBLIC_HTTPS_PORT").pipe(Config.withDefault(443))
/** `CD_EDGE_ID` (the machine's name): this edge in the `edges` bucket; one per process. */
export const EdgeId = Config.String("CD_EDGE_ID").pipe(Config.withDefault(hostname().replace(/[^A-Za-z0-9_-]/g, "-")))
/** `CD_EDGE_SNAPSHOT_DIR` (none): folder for the registry's snapshot; without it an edge needs NATS to start serving. */
export const SnapshotDir = Config.option(Config.String("CD_EDGE_SNAPSHOT_DIR"))
/** `CD_EDGE_CONTEXT_MIB` (512): memory for the TLS contexts of hot certificates. */
export const ContextMebibytes = Config.Int("CD_EDGE_CONTEXT_MIB").pipe(Config.withDefault(512))
/** `CD_EDGE_MAX_CONNECTIONS` (20000): client connections per listener; more are closed at once. */
export const MaxConnections = Config.Int("CD_EDGE_MAX_CONNECTIONS").pipe(Config.withDefault(20_000))
/** `CD_EDGE_ORIGIN_CONNECTIONS` (512): connections to one origin of one tenant; beyond it requests get 503. */
export const OriginConnections = Config.Int("CD_EDGE_ORIGIN_CONNECTIONS").pipe(Config.withDefault(512))
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
