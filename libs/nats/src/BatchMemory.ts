/**
 * Where a batch's values stand until they are applied.
 *
 * Owns: one buffer, filled from its beginning by each batch. Built against: values that stay slices of the socket's buffers. They wait so long for
 * their turn that V8 takes those for old, and a look at a bucket leaves tens of megabytes that only a full collection frees.
 */

const smallestBytes = 1024 * 1024

export class BatchMemory {
  private bytes = new Uint8Array(0)
  private used = 0

  /** What was put is over: its memory is for what comes next. */
  clear(): void {
    this.used = 0
  }

  /** A copy that stays as it is until `clear`. */
  put(value: Uint8Array): Uint8Array {
    const { length } = value
    if (this.used + length > this.bytes.length) {
      // What stands in the former one keeps that until it is applied.
      this.bytes = new Uint8Array(Math.max(smallestBytes, this.bytes.length * 2, length))
      this.used = 0
    }
    const copy = this.bytes.subarray(this.used, this.used + length)
    copy.set(value)
    this.used += length
    return copy
  }
}
