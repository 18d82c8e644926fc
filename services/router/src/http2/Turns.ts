/**
 * Which streams of a connection send next when there is not room for all.
 *
 * Owns: the order: behind the one that sent last, a frame each. Built against: one large download that takes every window for itself, again and again,
 * while its neighbours starve.
 */
import { frameSize } from "./frames.ts"
import type { OwnStream } from "./OwnStream.ts"

export class Turns {
  private next = 0

  /** Everything that waits and may be sent; then those streams whose source was stopped go on. */
  serve(streams: ReadonlyArray<OwnStream>): void {
    for (let idle = 0; idle < streams.length; ) {
      const sent = streams[this.next % streams.length]!.pump(frameSize)
      this.next = (this.next + 1) % streams.length
      idle = sent > 0 ? 0 : idle + 1
    }
    for (const stream of streams) stream.roomAgain()
  }
}
