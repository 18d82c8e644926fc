/**
 * Finds where a head ends, in bytes to which more come as long as it doesn't.
 *
 * Owns: that no byte is looked at again with each byte that comes. Leaves to `HeadScan`: the lines of a head that is whole.
 */
import type { RepeatedHead } from "./RepeatedHead.ts"
import { HeadScan } from "./scanHead.ts"

const emptyLine = Buffer.from("\r\n\r\n")

/** Behind the first empty line at or behind `from`; less than 4 when there is none before `length`. */
const endOfHead = (bytes: Buffer, from: number, length: number): number => {
  const end = bytes.indexOf(emptyLine, Math.max(0, from)) + emptyLine.length
  return end > length ? 0 : end
}

export class HeadSearch {
  /** Field lines of the head found last, for the readers of heads; -1 when they were not scanned. */
  scanned = -1
  private readonly scan = new HeadScan()

  /**
   * Where the head ends that the first `length` bytes begin with; less than 4 when it doesn't. `looked`: that many were looked at before, and hold no
   * end. What stands behind `length` is none of theirs. `repeated`: of whoever sends them.
   */
  find(bytes: Buffer, looked: number, length = bytes.length, repeated?: RepeatedHead): number {
    const end = looked === 0 ? -1 : endOfHead(bytes, looked - 3, length)
    if (looked > 0 && end < 4) return end
    const plain = this.scan.read(bytes, length, repeated)
    this.scanned = plain ? this.scan.found : -1
    if (plain) return this.scan.length
    return looked === 0 ? endOfHead(bytes, 0, length) : end
  }
}
