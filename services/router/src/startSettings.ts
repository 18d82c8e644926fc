/** Everything that the router reads from the environment, to be checked before it starts. The declarations stand in the files of what they configure. */
import { edgeAddressesSetting } from "@connect-domain/domain/edgeSettings.ts"
import { modeSettings } from "@connect-domain/domain/Mode.ts"
import { checked, numberSetting, type Setting, setting } from "@connect-domain/domain/Setting.ts"
import { networkAllowSettings } from "@connect-domain/egress/AddressPolicy.ts"
import { natsSettings } from "@connect-domain/nats/connection.ts"
import { isKey } from "@connect-domain/nats/Kv.ts"
import { keyRingSettings } from "@connect-domain/secrets/KeyRing.ts"
import { telemetrySettings } from "@connect-domain/telemetry/checkSettings.ts"
import { fileSetting } from "@connect-domain/telemetry/fileSetting.ts"
import type { Config } from "effect"
import * as limits from "./limits/LimitSettings.ts"
import { AccessLogMode } from "./observe/AccessLog.ts"
import * as config from "./RouterConfig.ts"
import { TrafficSeconds } from "./traffic/sendTraffic.ts"

const listenSetting = (name: string, read: Config.Config<string>) =>
  setting(
    name,
    checked(name, read, (text) => (config.parseListen(text) === undefined ? "is not an address to listen on" : undefined)),
    "host:port or :port such as 0.0.0.0:443"
  )
const many = 10_000_000
const day = 86_400

const rateSetting = (name: string, read: Config.Config<number>) =>
  numberSetting(name, read, { least: 0, most: 1_000_000, unit: "a second; 0 for no limit" })
const countSetting = (name: string, read: Config.Config<number>, unit = "requests; 0 for no limit") =>
  numberSetting(name, read, { least: 0, most: many, unit })
const limitSettings: ReadonlyArray<Setting> = [
  rateSetting("CD_EDGE_REQUESTS_PER_SECOND", limits.RequestsPerSecond),
  countSetting("CD_EDGE_REQUESTS_BURST", limits.RequestsBurst, "requests; 0 for one second's worth"),
  rateSetting("CD_EDGE_REQUESTS_PER_SECOND_PER_IP", limits.RequestsPerIp),
  countSetting("CD_EDGE_REQUESTS_BURST_PER_IP", limits.RequestsBurstPerIp, "requests; 0 for one second's worth"),
  countSetting("CD_EDGE_HOSTNAME_CONNECTIONS", limits.HostnameConnections, "connections; 0 for no limit"),
  countSetting("CD_EDGE_HOSTNAME_REQUESTS", limits.HostnameRequests),
  rateSetting("CD_EDGE_CLIENT_REQUESTS_PER_SECOND", limits.ClientRequests),
  countSetting("CD_EDGE_CLIENT_REQUESTS_BURST", limits.ClientRequestsBurst, "requests; 0 for one second's worth"),
  rateSetting("CD_EDGE_CLIENT_HANDSHAKES_PER_SECOND", limits.ClientHandshakes),
  countSetting("CD_EDGE_CLIENT_HANDSHAKES_BURST", limits.ClientHandshakesBurst, "handshakes; 0 for one second's worth"),
  countSetting("CD_EDGE_MAX_REQUESTS", limits.MaxRequests),
  countSetting("CD_EDGE_SHED_MILLIS", limits.ShedMillis, "milliseconds; 0 never to shed"),
  numberSetting("CD_EDGE_PROCESSES", limits.Processes, { least: 1, most: 1024, unit: "processes" }),
  numberSetting("CD_EDGE_LIMITED_CLIENTS", limits.LimitedClients, { least: 16, most: many, unit: "clients" })
]

export const settings: ReadonlyArray<Setting> = [
  ...modeSettings,
  ...natsSettings("router"),
  ...keyRingSettings("EDGE_KEK"),
  ...networkAllowSettings,
  edgeAddressesSetting,
  listenSetting("CD_EDGE_HTTP_LISTEN", config.HttpListenText),
  listenSetting("CD_EDGE_HTTPS_LISTEN", config.HttpsListenText),
  setting("CD_EDGE_REUSE_PORT", config.ReusePort, "true or false"),
  setting("CD_PUBLIC_HTTPS_PORT", config.PublicHttpsPort, "a port from 1 to 65535"),
  setting(
    "CD_EDGE_ID",
    checked("CD_EDGE_ID", config.EdgeId, (id) => (isKey(id) && /^[A-Za-z0-9_.-]{1,100}$/.test(id) ? undefined : "is no edge's id")),
    "letters, digits, -, _ and single dots within"
  ),
  setting("CD_EDGE_SNAPSHOT_DIR", config.SnapshotDir, "a folder's path, or nothing"),
  numberSetting("CD_EDGE_CONTEXT_MIB", config.ContextMebibytes, { least: 1, most: 1_000_000, unit: "MiB" }),
  numberSetting("CD_EDGE_MAX_CONNECTIONS", config.MaxConnections, { least: 1, most: many, unit: "connections" }),
  numberSetting("CD_EDGE_ORIGIN_CONNECTIONS", config.OriginConnections, { least: 1, most: many, unit: "connections" }),
  countSetting("CD_EDGE_ORIGIN_QUEUE", config.OriginQueue, "requests; 0 for none"),
  numberSetting("CD_EDGE_ORIGIN_QUEUE_SECONDS", config.OriginQueueSeconds, { least: 0.25, most: day, unit: "seconds" }),
  numberSetting("CD_EDGE_CLIENT_CONNECTIONS", config.ClientConnections, { least: 1, most: many, unit: "connections" }),
  ...limitSettings,
  numberSetting("CD_EDGE_TRAFFIC_SECONDS", TrafficSeconds, { least: 0.1, most: 3600, unit: "seconds" }),
  setting("CD_EDGE_PROXY_TRUSTED", config.TrustedNetworks, "networks such as 10.0.0.0/8, separated by commas, or nothing"),
  setting("CD_EDGE_HTTP2", config.Http2Setting, "own or node"),
  numberSetting("CD_EDGE_DRAIN_SECONDS", config.DrainSeconds, { least: 0, most: day, unit: "seconds" }),
  fileSetting("CD_EDGE_ORIGIN_CA_FILE", config.OriginCaFile, "the path of a PEM file, or nothing"),
  numberSetting("CD_EDGE_ORIGIN_CONNECT_SECONDS", config.OriginConnectSeconds, { least: 0.01, most: day, unit: "seconds" }),
  numberSetting("CD_EDGE_ORIGIN_RESPONSE_SECONDS", config.OriginResponseSeconds, { least: 0.01, most: day, unit: "seconds" }),
  numberSetting("CD_EDGE_ORIGIN_IDLE_SECONDS", config.OriginIdleSeconds, { least: 0.01, most: day, unit: "seconds" }),
  numberSetting("CD_EDGE_TRACE_RATIO", config.TraceRatio, { least: 0, most: 1, unit: "of all requests, such as 0.01" }),
  setting("CD_EDGE_ACCESS_LOG", AccessLogMode, "off, sampled or full"),
  ...telemetrySettings("router")
]
