/**
 * What this process lets in: requests, handshakes, connections; and what it refuses, early and cheaply (requirement E8).
 *
 * Owns: the order of the checks and their refusals. Leaves to `Rate.ts` and `RateTable.ts`: rates; to `LoadWatch.ts`: overload and fair shares;
 * to the connections: the answer. A request without limits costs one look into a map and a few additions, a refused one no more.
 * Built against: one hostname, tenant or client whose flood is paid for by everybody else.
 */
import { performance } from "node:perf_hooks"
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { type ClientKey, clientKey } from "./clientKey.ts"
import { type HostDefaults, HostUse } from "./HostUse.ts"
import { LoadWatch } from "./LoadWatch.ts"
import { debtAfter, makeRate, type Rate, retrySeconds, unitsPerRequest, waitFor } from "./Rate.ts"
import { RateTable } from "./RateTable.ts"

export interface GateSettings {
  /** Of a hostname without limits of its own. */
  readonly defaults: HostDefaults
  /** Requests of one client over all hostnames; 0: no limit. */
  readonly clientRequests: { readonly perSecond: number; readonly burst: number }
  /** TLS handshakes that one client may begin; 0: no limit. */
  readonly clientHandshakes: { readonly perSecond: number; readonly burst: number }
  /** Open requests of one hostname; 0: no limit. */
  readonly hostnameRequests: number
  /** Open requests of all hostnames, beyond which those go without who have more than their share; 0: no limit. */
  readonly maxRequests: number
  /** How late the event loop may be, milliseconds; 0: never mind. */
  readonly lateMillis: number
  /** Clients whose rates are remembered. */
  readonly clients: number
}

const none = { perSecond: 0, burst: 0 }
export const openGate: GateSettings = {
  defaults: { requestsPerSecond: 0, burst: 0, requestsPerSecondPerIp: 0, burstPerIp: 0, connections: 0, processes: 1 },
  ...{ clientRequests: none, clientHandshakes: none, hostnameRequests: 0, maxRequests: 0, lateMillis: 0, clients: 65_536 }
}

/** 429: this client or hostname asks too often; 503: the edge, or this hostname's share of it, has enough to do. */
export interface Refused {
  readonly status: 429 | 503
  /** For log and metrics. */
  readonly code: string
  /** For Retry-After. */
  readonly seconds: number
  /** How long the answer is held back: who asks again at once after each refusal would cost as much as if he were served. */
  readonly afterMillis: number
}

const heldMillis = 1000

/** Who asks; the key is kept here once it was needed. */
export interface Client {
  readonly address: string
  clientKey?: ClientKey | undefined
}

const keyOf = (client: Client): ClientKey => {
  client.clientKey ??= clientKey(client.address)
  return client.clientKey
}

/** Whole microseconds of a clock that only goes forward. */
const clock = (): number => Math.floor(performance.now() * 1000)

/** Owners in the table of clients that are no hostname; hostnames count from 1. */
const [anyHostname, handshakes, plain] = [0xffffffff, 0xfffffffe, 0xfffffffd]

export class Gate {
  /** What was refused, by reason. */
  readonly refusals = new Map<string, number>()
  readonly load: LoadWatch
  readonly clients: RateTable
  private readonly settings: GateSettings
  private readonly hosts = new Map<string, HostUse>()
  private readonly requestRate: Rate | undefined
  private readonly handshakeRate: Rate | undefined
  private readonly now: () => number
  private last: { readonly entry: HostnameEntry; readonly use: HostUse } | undefined

  constructor(settings: GateSettings = openGate, now: () => number = clock) {
    this.settings = settings
    this.now = now
    this.load = new LoadWatch(settings, () => this.forgetIdle())
    this.clients = new RateTable(settings.clients)
    const { clientHandshakes, clientRequests } = settings
    this.requestRate = makeRate(clientRequests.perSecond, clientRequests.burst || clientRequests.perSecond)
    this.handshakeRate = makeRate(clientHandshakes.perSecond, clientHandshakes.burst || clientHandshakes.perSecond)
  }

  /** Hostnames that are remembered. */
  get size(): number {
    return this.hosts.size
  }

  /** What this hostname uses; found again at once for the entry that was just asked for. */
  useOf(entry: HostnameEntry): HostUse {
    if (this.last?.entry === entry) return this.last.use
    let use = this.hosts.get(entry.connection_id)
    if (use === undefined) {
      use = new HostUse(this.load, entry.tenant_id, entry.flags.limits, this.settings.defaults)
      this.hosts.set(entry.connection_id, use)
    }
    this.last = { entry, use }
    return use
  }

  /** Why a request for this entry is refused; undefined when it may go on. `limits`: the flag that holds for it. */
  request(entry: HostnameEntry, client: Client, limits: unknown = entry.flags.limits): Refused | undefined {
    const use = this.useOf(entry)
    use.follow(limits, this.settings.defaults)
    const shed = this.load.request(use)
    if (shed !== undefined) return this.refuse(503, shed, 1, heldMillis)
    const { hostnameRequests } = this.settings
    if (hostnameRequests > 0 && use.inFlight >= Math.ceil(hostnameRequests / this.settings.defaults.processes))
      return this.refuse(503, "hostname-busy", 1)
    const { rate, ratePerClient } = use.limits
    return rate === undefined && ratePerClient === undefined && this.requestRate === undefined ? undefined : this.spend(use, client)
  }

  /** All of its rates or none: what one of them refuses costs the others nothing. */
  private spend(use: HostUse, client: Client): Refused | undefined {
    const now = this.now()
    const { rate, ratePerClient } = use.limits
    const debt = rate === undefined ? 0 : debtAfter(use.debt, now - use.debtAt, rate)
    const wait = rate === undefined ? 0 : waitFor(debt, rate)
    if (wait > 0) return this.refuse(429, "hostname-rate", retrySeconds(wait))
    if (ratePerClient !== undefined) {
      const own = this.clients.wait(use.id, keyOf(client), ratePerClient, now)
      if (own > 0) return this.refuse(429, "hostname-client-rate", retrySeconds(own))
    }
    if (this.requestRate !== undefined) {
      const own = this.clients.wait(anyHostname, keyOf(client), this.requestRate, now)
      if (own > 0) return this.refuse(429, "client-rate", retrySeconds(own))
      this.clients.spend(anyHostname, keyOf(client), this.requestRate, now)
    }
    if (ratePerClient !== undefined) this.clients.spend(use.id, keyOf(client), ratePerClient, now)
    if (rate === undefined) return undefined
    use.debt = debt + unitsPerRequest
    use.debtAt = now
    return undefined
  }

  private refuse(status: 429 | 503, code: string, seconds: number, afterMillis = 0): Refused {
    this.count(code)
    return { status, code, seconds, afterMillis }
  }

  /** A connection was refused elsewhere for this reason. */
  count(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
  }

  /**
   * Why a request on port 80 is refused; its rate is the client's of the TLS port, its account another: who is redirected asks twice. A redirect costs
   * no more than a refusal would, so nothing is shed there.
   */
  plainRequest(client: Client): Refused | undefined {
    const rate = this.requestRate
    if (rate === undefined) return undefined
    const now = this.now()
    const wait = this.clients.wait(plain, keyOf(client), rate, now)
    if (wait > 0) return this.refuse(429, "plain-client-rate", retrySeconds(wait))
    this.clients.spend(plain, keyOf(client), rate, now)
    return undefined
  }

  /** False: this client begins handshakes too often. Before a byte of it was read. */
  connect(address: string): boolean {
    const rate = this.handshakeRate
    if (rate === undefined) return true
    const key = clientKey(address)
    const now = this.now()
    if (this.clients.wait(handshakes, key, rate, now) > 0) {
      this.count("client-handshakes")
      return false
    }
    this.clients.spend(handshakes, key, rate, now)
    return true
  }

  /** A ClientHello names this entry: the connection counts as the hostname's until `disconnected`. Undefined: it is refused. */
  handshake(entry: HostnameEntry, limits: unknown = entry.flags.limits): HostUse | undefined {
    const use = this.useOf(entry)
    use.follow(limits, this.settings.defaults)
    const shed = this.load.handshake(use)
    const full = use.limits.connections > 0 && use.connections >= use.limits.connections
    if (shed !== undefined || full) {
      this.count(shed ?? "hostname-connections")
      return undefined
    }
    use.connections++
    return use
  }

  disconnected(use: HostUse): void {
    use.connections--
  }

  private forgetIdle(): void {
    const now = this.now()
    this.last = undefined
    for (const [id, use] of this.hosts) if (use.idle(now)) this.hosts.delete(id)
  }
}
