/**
 * Finds where a head ends, in bytes to which more come as long as it doesn't.
 *
 * Owns: that no byte is looked at again with each byte that comes. Leaves to `HeadScan`: the lines of a head that is whole.
 */
import { HeadScan } from "./scanHead.ts"

const emptyLine = Buffer.from("\r\n\r\n")

export class HeadSearch {
  /** Field lines of the head found last, for the readers of heads; -1 when they were not scanned. */
  scanned = -1
  private readonly scan = new HeadScan()

  /** Where the head ends that `bytes` begin with; less than 4 when it doesn't. `looked`: that many bytes were looked at before, and hold no end. */
  find(bytes: Buffer, looked: number): number {
    const end = looked === 0 ? -1 : bytes.indexOf(emptyLine, Math.max(0, looked - 3)) + 4
    if (looked > 0 && end < 4) return end
    const plain = this.scan.read(bytes)
    this.scanned = plain ? this.scan.found : -1
    if (plain) return this.scan.length
    return looked === 0 ? bytes.indexOf(emptyLine) + 4 : end
  }
}
