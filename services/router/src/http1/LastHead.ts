/**
 * The last request's head of an HTTP/1 connection, which is known again by its bytes: the same bytes are the same request, and were judged already.
 *
 * Owns: that memory. Programs that ask for one thing again and again send the same head each time; browsers don't, and cost nothing here but the look at the
 * first bytes that differ. The counterpart of `http2/RequestHeads.ts`. Built against: memory and copies for connections that have no use for it: nothing
 * is kept before two heads of the same length came in a row.
 */
import type { RequestHead } from "./requestHead.ts"

/** Larger heads are not kept. */
const mostBytes = 1024

export class LastHead {
  /** Of the last head, also when it is not kept. */
  length = 0
  private head: RequestHead | undefined
  private bytes = Buffer.alloc(0)

  /** What the request says that `bytes` begin with, if its first `length` bytes are the last head; undefined: nothing is known. */
  find(bytes: Buffer): RequestHead | undefined {
    const { bytes: last, head, length } = this
    if (head === undefined || bytes.length < length) return undefined
    for (let at = 0; at < length; at++) if (bytes[at] !== last[at]) return undefined
    return head
  }

  /** The first `length` bytes are the head that says so. */
  keep(bytes: Buffer, length: number, head: RequestHead): void {
    const alike = length === this.length && length <= mostBytes
    this.length = length
    this.head = alike ? head : undefined
    if (!alike) return
    if (this.bytes.length < length) this.bytes = Buffer.allocUnsafeSlow(length)
    bytes.copy(this.bytes, 0, 0, length)
  }
}
