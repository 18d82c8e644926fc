/**
 * What one connection's hostname uses of this process right now: requests and sockets that are open, its debt, its part of the current tick.
 *
 * Owns: the numbers, and reading the entry's flag `limits`. Leaves to `Gate.ts`: what follows from them. One object for each name that was asked
 * for lately; found by one look into a map for each request.
 */
import { savedCredit } from "./LoadWatch.ts"
import { debtAfter, makeRate, type Rate } from "./Rate.ts"

/** The limits of one hostname; absent members limit nothing. */
export interface HostLimits {
  readonly rate: Rate | undefined
  readonly ratePerClient: Rate | undefined
  /** Open TLS connections; 0: no limit. */
  readonly connections: number
}

/** In requests per second and requests; 0: none. */
export interface HostDefaults {
  readonly requestsPerSecond: number
  readonly burst: number
  readonly requestsPerSecondPerIp: number
  readonly burstPerIp: number
  readonly connections: number
  /** Processes among which the kernel spreads a hostname's connections: each has its part of the hostname's limits. A client's are whole in each. */
  readonly processes: number
}

/** The requests of all hostnames together. */
export interface OpenRequests {
  inFlight: number
}

const number = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined

/** Without a burst of its own a rate allows one second's worth at once. */
const rateOf = (perSecond: unknown, burst: unknown, defaults: readonly [number, number], parts = 1): Rate | undefined => {
  const own = number(perSecond)
  const [rate, most] = own === undefined ? [defaults[0], defaults[1] || defaults[0]] : [own, number(burst) ?? own]
  return makeRate(rate / parts, Math.ceil(most / parts))
}

/** The flag `limits` over the operator's defaults. What can't be read counts as absent. */
export const readLimits = (limits: unknown, defaults: HostDefaults): HostLimits => {
  const own = typeof limits === "object" && limits !== null && !Array.isArray(limits) ? (limits as Record<string, unknown>) : {}
  return {
    rate: rateOf(own.requests_per_second, own.burst, [defaults.requestsPerSecond, defaults.burst], defaults.processes),
    ratePerClient: rateOf(own.requests_per_second_per_ip, own.burst_per_ip, [defaults.requestsPerSecondPerIp, defaults.burstPerIp]),
    connections: Math.ceil(Math.floor(number(own.connections) ?? defaults.connections) / defaults.processes)
  }
}

let lastId = 0
const nextId = (): number => {
  lastId = (lastId % 0xfffffff0) + 1
  return lastId
}

export class HostUse {
  /** Stands for the hostname in the table of clients: from 1 up, below the owners that are no hostname. */
  readonly id = nextId()
  readonly tenant: string
  limits: HostLimits
  /** Requests that were let through and are not over, tunnels included. */
  inFlight = 0
  /** TLS connections with this name as SNI. */
  connections = 0
  /** Debt of the hostname's own rate, and the microsecond that it is of. */
  debt = 0
  debtAt = 0
  /** Work of the current tick, refused or not, and the part that was let through; in the unit of one request. */
  wanted = 0
  served = 0
  /** The tick of `wanted`. */
  tick = 0
  /** Work that is let through while shedding. */
  credit = savedCredit
  /** Open requests beyond which none comes on top while the process has too many. */
  share = Number.POSITIVE_INFINITY
  private flag: unknown
  private readonly all: OpenRequests

  constructor(all: OpenRequests, tenant: string, flag: unknown, defaults: HostDefaults) {
    this.all = all
    this.tenant = tenant
    this.flag = flag
    this.limits = readLimits(flag, defaults)
  }

  /** The flag as it is now; a changed one brings its limits. */
  follow(flag: unknown, defaults: HostDefaults): void {
    if (this.flag === flag) return
    this.flag = flag
    this.limits = readLimits(flag, defaults)
  }

  /** A request begins to use its origin; `left` when that is over. */
  entered(): void {
    this.inFlight++
    this.all.inFlight++
  }

  left(): void {
    this.inFlight--
    this.all.inFlight--
  }

  /** Nothing is open and nothing is owed: it can be forgotten. `now` in microseconds. */
  idle(now: number): boolean {
    const { rate } = this.limits
    return this.inFlight === 0 && this.connections === 0 && (rate === undefined || debtAfter(this.debt, now - this.debtAt, rate) === 0)
  }
}
