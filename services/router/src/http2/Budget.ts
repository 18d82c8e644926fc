/**
 * How often something cheap for the client and dear for the edge may happen (requirement E9).
 *
 * Owns: a bucket that refills steadily. Sizes are generous: a browser that scrolls through a gallery cancels hundreds of requests.
 */
export class Budget {
  private level: number
  private at = 0
  private readonly burst: number
  private readonly perSecond: number

  constructor(burst: number, perSecond: number) {
    this.burst = burst
    this.perSecond = perSecond
    this.level = burst
  }

  /** False when it is used up. `now` in milliseconds. */
  spend(now: number): boolean {
    this.level = Math.min(this.burst, this.level + ((now - this.at) * this.perSecond) / 1000)
    this.at = now
    if (this.level < 1) return false
    this.level--
    return true
  }
}
