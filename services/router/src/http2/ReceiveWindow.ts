/**
 * What the client may still send on a connection (RFC 9113 §6.9).
 *
 * Owns: counting it, and how much is given back when: as soon as half of what isn't held back was used. Leaves to `OwnStream.ts`: each stream's own
 * window. Built against: uploads that an origin does not take, which use up the window, so that their neighbours seem to be stalled.
 */
import { frameSize } from "./frames.ts"

export class ReceiveWindow {
  /** When the client could send again after it could not; of the clock of `Deadlines`. */
  openedAt = 0
  private left: number
  private unacknowledged = 0

  constructor(size: number) {
    this.left = size
  }

  /** Bodies that the edge holds back have used it up: that nothing comes is not the client's doing. */
  get shut(): boolean {
    return this.left < frameSize
  }

  /** False: the client overran it. */
  take(length: number): boolean {
    this.left -= length
    return this.left >= 0
  }

  /** The edge is done with these bytes. Returns how many the client may send again from now on; 0: it is told later. */
  done(length: number, now: number): number {
    this.unacknowledged += length
    const increment = this.unacknowledged
    if (increment === 0 || increment < this.left) return 0
    if (this.shut) this.openedAt = now
    this.left += increment
    this.unacknowledged = 0
    return increment
  }
}
