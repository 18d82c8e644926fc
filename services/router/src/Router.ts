/**
 * The edge as one object, without Effect, NATS or configuration: what tests, benchmarks and the service all run.
 *
 * Owns: putting the parts together, starting and draining. Leaves to `service.ts`: settings, NATS, logs.
 */
import type { AddressPolicy, Network } from "@connect-domain/egress/AddressPolicy.ts"
import type { OwnPlaces } from "@connect-domain/egress/originPolicy.ts"
import type { Resolve } from "@connect-domain/egress/resolveName.ts"
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { Vault } from "@connect-domain/secrets/Vault.ts"
import { useLargeSlabs } from "./bufferPool.ts"
import { AlpnChallenges } from "./challenge/AlpnChallenges.ts"
import type { ClientLimits, Edge } from "./client/Edge.ts"
import { Deadlines } from "./Deadlines.ts"
import { Gate, type GateSettings } from "./limits/Gate.ts"
import { NewestConnections } from "./limits/NewestConnections.ts"
import { EdgeMetrics } from "./observe/EdgeMetrics.ts"
import { innerGauges } from "./observe/innerGauges.ts"
import { LoopDelay } from "./observe/LoopDelay.ts"
import type { RequestTraces } from "./observe/RequestTraces.ts"
import { connectOrigin } from "./origin/connectOrigin.ts"
import { OriginPool, type PoolLimits } from "./origin/OriginPool.ts"
import { Applications } from "./policy/Applications.ts"
import { requestIds } from "./RequestId.ts"
import type { Registry } from "./registry/Registry.ts"
import { ClientCounts } from "./tls/ClientCounts.ts"
import { Contexts } from "./tls/Contexts.ts"
import { type Address, Listeners } from "./tls/Listeners.ts"
import { TrustedProxies } from "./tls/readProxied.ts"
import { ServerNames } from "./tls/ServerNames.ts"
import { tuneYoungCollections } from "./youngCollections.ts"

export interface RouterOptions {
  readonly registry: Registry
  /** What holds for all hostnames of an application; default: nothing. */
  readonly applications?: Applications
  readonly vault: Vault
  readonly policy: AddressPolicy
  /** Asks the certifier for a certificate of this entry's claim. */
  readonly ensure?: (entry: HostnameEntry) => void
  readonly contextBytes?: number
  /** Connections per listener; default 20,000. */
  readonly maxConnections?: number
  /** Connections of one client address per listener; default 1,000. */
  readonly perClient?: number
  /** Balancers in front, which send a PROXY header on every connection. */
  readonly trustedProxies?: ReadonlyArray<Network>
  readonly publicHttpsPort?: number
  /** Spans of proxied requests. */
  readonly traces?: RequestTraces
  /** Default `own`. */
  readonly http2?: "own" | "node"
  readonly originCa?: ReadonlyArray<string>
  /** Names of origins to addresses; default: hosts file and DNS. */
  readonly resolveOrigin?: Resolve
  /** Addresses and ports at which clients reach the edge: no origin is there. */
  readonly own?: OwnPlaces
  readonly connectMillis?: number
  readonly limits?: Partial<ClientLimits>
  /** For a whole handshake; default 10 s. */
  readonly handshakeMillis?: number
  readonly pool?: Partial<PoolLimits>
  /** Rates, shares and shedding; default: none. */
  readonly gate?: GateSettings
}

const clientLimits: ClientLimits = {
  headMillis: 15_000,
  bodyMillis: 30_000,
  drainMillis: 30_000,
  idleMillis: 75_000,
  tunnelMillis: 3_600_000
}
const poolLimits: PoolLimits = {
  ...{ responseMillis: 60_000, idleMillis: 300_000, keepMillis: 15_000, perOrigin: 512, idlePerOrigin: 256 },
  ...{ queue: 512, queueMillis: 5000 }
}
const handshakeMillis = 10_000
const mebibyte = 1024 * 1024

export class Router {
  readonly metrics = new EdgeMetrics()
  readonly serverNames: ServerNames
  readonly contexts: Contexts
  readonly pool: OriginPool
  readonly listeners: Listeners
  readonly gate: Gate
  readonly applications: Applications
  private readonly deadlines = new Deadlines()
  private readonly loopDelay = new LoopDelay()
  private heardAt = performance.now()
  private readonly edge: Edge & { draining: boolean }

  constructor(options: RouterOptions) {
    const { maxConnections = 20_000, perClient = 1000, registry } = options
    useLargeSlabs()
    tuneYoungCollections()
    const deadlines = this.deadlines
    this.contexts = new Contexts(options.vault, options.contextBytes ?? 512 * mebibyte)
    this.serverNames = new ServerNames({ table: registry, contexts: this.contexts, ensure: options.ensure ?? (() => {}) })
    registry.onCertificateGone = (id) => this.contexts.forget(id)
    registry.onCertificateChange = (hostname) => this.serverNames.changed(hostname)
    const connectFailures = new Map<string, number>()
    const connect = connectOrigin(options.policy, {
      failures: connectFailures,
      timeoutMillis: options.connectMillis ?? 5000,
      ...(options.originCa === undefined ? {} : { ca: options.originCa }),
      ...(options.resolveOrigin === undefined ? {} : { resolve: options.resolveOrigin }),
      ...(options.own === undefined ? {} : { own: options.own })
    })
    this.pool = new OriginPool({ deadlines, limits: { ...poolLimits, ...options.pool }, connect })
    this.gate = new Gate(options.gate)
    this.applications = options.applications ?? new Applications()
    this.edge = {
      ...{
        table: registry,
        pool: this.pool,
        gate: this.gate,
        deadlines,
        applications: this.applications,
        limits: { ...clientLimits, ...options.limits },
        observer: this.metrics
      },
      ...{ draining: false, newRequestId: requestIds(), traces: options.traces }
    }
    const challenges = new AlpnChallenges(registry, options.vault)
    registry.challenges.onGone = (token) => challenges.forget(token)
    this.listeners = new Listeners({
      challenges,
      ...{ edge: this.edge, serverNames: this.serverNames, publicHttpsPort: options.publicHttpsPort },
      handshakeMillis: options.handshakeMillis ?? handshakeMillis,
      maxConnections,
      http2: options.http2 ?? "own",
      clients: new ClientCounts(perClient),
      plainSockets: new NewestConnections(perClient, maxConnections),
      proxies: options.trustedProxies === undefined ? undefined : new TrustedProxies(options.trustedProxies)
    })
    this.addGauges(registry)
    const { contexts, loopDelay, pool } = this
    this.metrics.add(...innerGauges({ challenges, connectFailures, contexts, loopDelay, pool }))
  }

  private addGauges(registry: Registry): void {
    const { contexts, gate, listeners, pool, serverNames } = this
    const gauge = (name: string, help: string, read: () => number) => ({ name, help, type: "gauge" as const, read })
    this.metrics.add(
      gauge("edge_hostnames", "Hostnames that are served.", () => registry.size),
      gauge("edge_contexts", "TLS contexts in memory.", () => contexts.size),
      gauge("edge_sockets", "Open client sockets, handshakes included.", () => listeners.open),
      gauge("edge_origin_connections_busy", "Origin connections in use.", () => pool.size.busy),
      gauge("edge_origin_connections_idle", "Origin connections kept.", () => pool.size.idle),
      gauge("edge_origin_waiting", "Requests that wait for a connection to an origin at its cap.", () => pool.size.waiting),
      gauge("edge_overloaded", "1 while floods are shed.", () => Number(gate.load.overload.shedding)),
      gauge("edge_limited_clients_forgotten", "Rates of clients that were forgotten for want of room.", () => gate.clients.evicted),
      gauge(
        "edge_registry_age_seconds",
        "Since the registry was last known to be all that NATS has; from the start on while it was not.",
        () => Math.round((performance.now() - this.heardAt) / 1000)
      ),
      gauge("edge_registry_revision", "Applied revision of the registry.", () => registry.appliedRevision),
      gauge("edge_certificates_missing", "Certificates that held names need and NATS does not have.", () => registry.absentCount),
      ...[
        {
          name: "edge_handshakes_total",
          label: "kind",
          help: "Completed handshakes.",
          read: () => new Map(Object.entries(listeners.handshakes))
        },
        { name: "edge_handshakes_failed_total", label: "code", help: "Failed handshakes.", read: () => listeners.failedHandshakes },
        {
          name: "edge_server_names_total",
          label: "outcome",
          help: "Answers to SNI.",
          read: () => new Map(Object.entries(serverNames.counts))
        },
        {
          name: "edge_origin_waits_total",
          label: "outcome",
          help: "Requests that had to wait for a connection to an origin, by how that ended.",
          read: () => new Map(Object.entries(pool.waits))
        },
        { name: "edge_shed_total", label: "reason", help: "Requests and connections refused by a limit.", read: () => gate.refusals }
      ].map((counter) => ({ ...counter, type: "counter" as const }))
    )
  }

  /** The hostnames' bucket was asked just now and has nothing newer: what is served is that old at most (E16). */
  heard(): void {
    this.heardAt = performance.now()
  }

  /** Returns the ports. Rejects with a sentence when one is taken. */
  async start(http: Address, https: Address): Promise<{ readonly http: number; readonly https: number }> {
    this.deadlines.start()
    this.gate.load.start()
    this.loopDelay.start()
    return this.listeners.listen(http, https)
  }

  /** Finishes what is in flight, for at most `millis`. */
  async stop(millis: number): Promise<void> {
    this.edge.draining = true
    this.serverNames.close()
    await this.listeners.drain(millis)
    this.contexts.close()
    this.pool.close()
    this.gate.load.stop()
    this.loopDelay.stop()
    this.deadlines.stop()
  }
}
