/**
 * Whether the process has more to do than it can, and how much it may take on.
 *
 * Owns: the decision, from how late the event loop is. Leaves to `waterLevel.ts`: who gets it; to `Gate.ts`: refusing. Pure: fed by one sample a
 * tick. Built against: latency that grows without end for everybody; a single pause (a full collection, a neighbour on the machine) taken for
 * overload; and flapping: shedding begins at one threshold and ends well below it, after nobody wanted more for a second.
 */
export interface OverloadLimits {
  /** How late the event loop may be on the average, in milliseconds, before work is refused; 0: never refused. */
  readonly lateMillis: number
}

export interface Sample {
  /** How much later than planned this tick came, milliseconds. */
  readonly late: number
  /** Share of the elapsed time in which this process had the processor, all threads. */
  readonly busy: number
  /** Work that came in since the last tick, refused or not, and the part that was let through; in the unit of one request. */
  readonly wanted: number
  readonly served: number
  /** Since the last tick, milliseconds. */
  readonly elapsed: number
}

/** Weight of the newest sample: about ten ticks make an average. */
const weight = 0.15
/** A sample counts for at most this many thresholds: one long pause is no overload. */
const clamp = 3
/** Lateness while the process has less of the processor than this is a neighbour's work: refusing ours would not help. */
const leastBusy = 0.15
const ends = 0.4
const calmTicks = 20
const [less, more] = [0.85, 1.05]
/** Requests per millisecond that are always let through, a small part of what a core does: a bad estimate must be able to recover. */
const floor = 1

export class Overload {
  shedding = false
  /** What may be let through, in requests per millisecond; meaningful while `shedding`. */
  capacity = 0
  /** Average lateness, milliseconds. */
  late = 0
  private calm = 0
  private readonly limits: OverloadLimits

  constructor(limits: OverloadLimits) {
    this.limits = limits
  }

  /** One tick. Returns whether to shed until the next. */
  tick(sample: Sample): boolean {
    const { lateMillis } = this.limits
    if (lateMillis === 0) return false
    const late = sample.busy < leastBusy ? 0 : Math.min(sample.late, lateMillis * clamp)
    this.late += weight * (late - this.late)
    if (this.shedding) this.adjust(sample)
    else if (this.late > lateMillis) this.begin(sample)
    return this.shedding
  }

  private begin(sample: Sample): void {
    this.shedding = true
    this.calm = 0
    this.capacity = Math.max(floor, (less * sample.served) / Math.max(1, sample.elapsed))
  }

  private adjust(sample: Sample): void {
    const { lateMillis } = this.limits
    const wanted = sample.wanted / Math.max(1, sample.elapsed)
    if (this.late > lateMillis) this.capacity = Math.max(floor, this.capacity * less)
    else if (this.late < lateMillis * ends) this.capacity *= more
    this.calm = this.late < lateMillis * ends && wanted <= this.capacity ? this.calm + 1 : 0
    if (this.calm >= calmTicks) this.shedding = false
  }
}
