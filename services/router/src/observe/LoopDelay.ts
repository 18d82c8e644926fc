/**
 * How late the event loop is, as seconds: what every request of this process waits besides its own work.
 *
 * Owns: the window. A scrape sees the last half minute at least and the last minute at most, however often the value is read. Leaves to
 * `limits/LoadWatch.ts`: what is done about it.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"

const resolution = 20
const windowMillis = 30_000

export class LoopDelay {
  private readonly histogram = monitorEventLoopDelay({ resolution })
  private former = 0
  private since = 0

  start(): void {
    this.since = performance.now()
    this.histogram.enable()
  }

  stop(): void {
    this.histogram.disable()
  }

  /** The 99th percentile. Node records the time between two of its own ticks, their interval included. */
  get seconds(): number {
    const now = Math.max(0, this.histogram.percentile(99) / 1e9 - resolution / 1000)
    const worst = Math.max(now, this.former)
    if (performance.now() - this.since >= windowMillis) {
      this.since = performance.now()
      this.former = now
      this.histogram.reset()
    }
    return worst
  }
}
