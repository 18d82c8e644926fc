/**
 * The operator's limits on what the edge lets in; a rate of 0 is none. A hostname's own (its flag `limits`) come before the defaults here. A burst
 * says how far above its rate somebody may be for a moment; without the rate beside it it means nothing.
 */
import { Config, Effect } from "effect"
import type { GateSettings } from "./Gate.ts"

/** `CD_EDGE_REQUESTS_PER_SECOND` (0): requests of one hostname that has no limits of its own; more get 429. */
export const RequestsPerSecond = Config.Finite("CD_EDGE_REQUESTS_PER_SECOND").pipe(Config.withDefault(0))
/** `CD_EDGE_REQUESTS_BURST` (0): how many requests such a hostname may get at once after a quiet time, for `CD_EDGE_REQUESTS_PER_SECOND`; 0: one second's worth. */
export const RequestsBurst = Config.Finite("CD_EDGE_REQUESTS_BURST").pipe(Config.withDefault(0))
/** `CD_EDGE_REQUESTS_PER_SECOND_PER_IP` (0): requests of one client (one /64 for IPv6) to one such hostname. */
export const RequestsPerIp = Config.Finite("CD_EDGE_REQUESTS_PER_SECOND_PER_IP").pipe(Config.withDefault(0))
/** `CD_EDGE_REQUESTS_BURST_PER_IP` (0): how many requests one client may send it at once, for `CD_EDGE_REQUESTS_PER_SECOND_PER_IP`; 0: one second's worth. */
export const RequestsBurstPerIp = Config.Finite("CD_EDGE_REQUESTS_BURST_PER_IP").pipe(Config.withDefault(0))
/** `CD_EDGE_HOSTNAME_CONNECTIONS` (0): open TLS connections of one such hostname; more are refused with an alert. */
export const HostnameConnections = Config.Finite("CD_EDGE_HOSTNAME_CONNECTIONS").pipe(Config.withDefault(0))
/** `CD_EDGE_HOSTNAME_REQUESTS` (0): open requests of one hostname; more get 503. */
export const HostnameRequests = Config.Finite("CD_EDGE_HOSTNAME_REQUESTS").pipe(Config.withDefault(0))
/** `CD_EDGE_CLIENT_REQUESTS_PER_SECOND` (0): requests of one client to all hostnames together; port 80 has as many again. */
export const ClientRequests = Config.Finite("CD_EDGE_CLIENT_REQUESTS_PER_SECOND").pipe(Config.withDefault(0))
/** `CD_EDGE_CLIENT_REQUESTS_BURST` (0): how many requests one client may send at once, for `CD_EDGE_CLIENT_REQUESTS_PER_SECOND`; 0: one second's worth. */
export const ClientRequestsBurst = Config.Finite("CD_EDGE_CLIENT_REQUESTS_BURST").pipe(Config.withDefault(0))
/** `CD_EDGE_CLIENT_HANDSHAKES_PER_SECOND` (0): TLS connections that one client may begin. */
export const ClientHandshakes = Config.Finite("CD_EDGE_CLIENT_HANDSHAKES_PER_SECOND").pipe(Config.withDefault(0))
/** `CD_EDGE_CLIENT_HANDSHAKES_BURST` (0): how many TLS connections one client may begin at once, for `CD_EDGE_CLIENT_HANDSHAKES_PER_SECOND`; 0: one second's worth. */
export const ClientHandshakesBurst = Config.Finite("CD_EDGE_CLIENT_HANDSHAKES_BURST").pipe(Config.withDefault(0))
/** `CD_EDGE_MAX_REQUESTS` (10000): open requests of the process; beyond it hostnames with more than their share get 503. */
export const MaxRequests = Config.Finite("CD_EDGE_MAX_REQUESTS").pipe(Config.withDefault(10_000))
/** `CD_EDGE_SHED_MILLIS` (100): how late the event loop may be on the average before floods are shed with 503. */
export const ShedMillis = Config.Finite("CD_EDGE_SHED_MILLIS").pipe(Config.withDefault(100))
/** `CD_EDGE_LIMITED_CLIENTS` (262144): clients whose rates are remembered, 36 bytes each; beyond it the smallest debts are forgotten. */
export const LimitedClients = Config.Finite("CD_EDGE_LIMITED_CLIENTS").pipe(Config.withDefault(262_144))

/**
 * `CD_EDGE_PROCESSES` (1): how many router processes share this machine's ports (`CD_EDGE_REUSE_PORT`). Each lets in its part of a hostname's rates,
 * connections and open requests. A client's limits are whole in each: his connections may all be with one.
 */
export const Processes = Config.Int("CD_EDGE_PROCESSES").pipe(Config.withDefault(1))

/** All of them. */
export const readGateSettings = Effect.gen(function* () {
  const settings: GateSettings = {
    defaults: {
      requestsPerSecond: yield* RequestsPerSecond,
      burst: yield* RequestsBurst,
      requestsPerSecondPerIp: yield* RequestsPerIp,
      burstPerIp: yield* RequestsBurstPerIp,
      connections: yield* HostnameConnections,
      processes: yield* Processes
    },
    clientRequests: { perSecond: yield* ClientRequests, burst: yield* ClientRequestsBurst },
    clientHandshakes: { perSecond: yield* ClientHandshakes, burst: yield* ClientHandshakesBurst },
    hostnameRequests: yield* HostnameRequests,
    maxRequests: yield* MaxRequests,
    lateMillis: yield* ShedMillis,
    clients: yield* LimitedClients
  }
  return settings
})
