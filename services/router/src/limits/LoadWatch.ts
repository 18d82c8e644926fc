/**
 * The process's load, tick by tick, and each hostname's share of what it can do.
 *
 * Owns: the samples, and dealing out shares while there is too much work or too many requests are open. Leaves to `Overload.ts`: whether there is; to
 * `waterLevel.ts`: who gets what. While nothing is shed a request costs an addition. Built against: a flood on one hostname that is felt on another.
 */
import type { HostUse } from "./HostUse.ts"
import { Overload } from "./Overload.ts"
import { fairLevels } from "./waterLevel.ts"

const tickMillis = 50
/** Every so many ticks, hostnames that nobody asks for any more are forgotten. */
const forgetTicks = 600
/** A full handshake costs about as much as so many requests. */
const handshakeCost = 20
/** What a quiet hostname can save up while floods are shed: a visitor's handshake and his first requests. It comes back in a second. */
export const savedCredit = handshakeCost + 5
const savedPerTick = (savedCredit * tickMillis) / 1000

export interface LoadLimits {
  readonly lateMillis: number
  readonly maxRequests: number
}

export class LoadWatch {
  /** Requests that are open, of all hostnames. */
  inFlight = 0
  readonly overload: Overload
  private readonly limits: LoadLimits
  private readonly forgetIdle: () => void
  /** Hostnames for which anything was wanted in this tick. */
  private wanting: Array<HostUse> = []
  private ticks = 1
  /** What everybody gets in a tick while shedding, wanted or not: at most half of it all. */
  private least = savedPerTick
  private crowded = false
  /** Open requests beyond which only a hostname with none gets one. */
  private readonly ceiling: number
  private timer: NodeJS.Timeout | undefined
  private at = 0
  private cpu = process.cpuUsage()

  constructor(limits: LoadLimits, forgetIdle: () => void) {
    this.limits = limits
    this.ceiling = limits.maxRequests * 1.25
    this.forgetIdle = forgetIdle
    this.overload = new Overload(limits)
  }

  start(): void {
    this.at = performance.now()
    this.cpu = process.cpuUsage()
    this.timer ??= setInterval(() => this.onTimer(), tickMillis).unref()
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  /** Why a request is not let through; undefined: it is. */
  request(use: HostUse): string | undefined {
    if (use.tick !== this.ticks) this.first(use)
    use.wanted++
    const { shedding } = this.overload
    if (shedding && use.credit < 1) return "overload"
    if (this.crowded && use.inFlight > 0 && (use.inFlight >= use.share || this.inFlight >= this.ceiling)) return "crowded"
    if (shedding) use.credit--
    use.served++
    return undefined
  }

  handshake(use: HostUse): string | undefined {
    if (use.tick !== this.ticks) this.first(use)
    use.wanted += handshakeCost
    const { shedding } = this.overload
    if (shedding && use.credit < 1) return "overload-handshake"
    if (shedding) use.credit -= handshakeCost
    use.served += handshakeCost
    return undefined
  }

  private first(use: HostUse): void {
    const away = this.ticks - 1 - use.tick
    if (away > 0) use.credit = Math.min(savedCredit, use.credit + away * this.least)
    use.tick = this.ticks
    use.wanted = 0
    use.served = 0
    this.wanting.push(use)
  }

  private onTimer(): void {
    const now = performance.now()
    const elapsed = now - this.at
    const { user, system } = process.cpuUsage(this.cpu)
    this.at = now
    this.cpu = process.cpuUsage()
    this.tick({ elapsed, late: Math.max(0, elapsed - tickMillis), busy: (user + system) / 1000 / Math.max(1, elapsed) })
  }

  /** Ends a tick. */
  tick(sample: { readonly elapsed: number; readonly late: number; readonly busy: number }): void {
    const { overload, wanting } = this
    let [wanted, served] = [0, 0]
    for (const use of wanting) {
      wanted += use.wanted
      served += use.served
    }
    overload.tick({ ...sample, wanted, served })
    if (overload.shedding) this.deal(overload.capacity * Math.min(Math.max(tickMillis, sample.elapsed), 2 * tickMillis))
    this.shareRoom()
    this.ticks++
    this.wanting = []
    if (this.ticks % forgetTicks === 0) this.forgetIdle()
  }

  /** Credit for the next tick. Only a quiet hostname's is saved up, and a share below one request. */
  private deal(capacity: number): void {
    const { wanting } = this
    const levels = fairLevels(
      wanting.map((use) => ({ tenant: use.tenant, want: use.wanted })),
      capacity
    )
    this.least = Math.min(savedPerTick, capacity / 2 / Math.max(1, wanting.length))
    wanting.forEach((use, at) => {
      const share = Math.max(levels[at]!, this.least)
      use.credit = Math.min(use.credit + share, Math.max(share, savedCredit))
    })
  }

  /** Shares of the open requests, once there are too many of them. */
  private shareRoom(): void {
    const { maxRequests } = this.limits
    if (maxRequests === 0) return
    // Ends well below where it began, so that it does not flap.
    this.crowded = this.inFlight >= maxRequests || (this.crowded && this.inFlight > maxRequests * 0.8)
    if (!this.crowded) return
    const { wanting } = this
    const levels = fairLevels(
      wanting.map((use) => ({ tenant: use.tenant, want: use.inFlight })),
      maxRequests * 0.8
    )
    wanting.forEach((use, at) => {
      use.share = levels[at]!
    })
  }
}
