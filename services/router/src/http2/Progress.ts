/** When something moved last that is worth the name. Built against: a client that opens a window by a byte now and then, for ever. */
const least = 1024

export class Progress {
  /** Of the clock of `Deadlines`. */
  at: number
  private since = 0

  constructor(now: number) {
    this.at = now
  }

  moved(bytes: number, now: number): void {
    this.since += bytes
    if (this.since < least) return
    this.since = 0
    this.at = now
  }
}
