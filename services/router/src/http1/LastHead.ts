/**
 * The last request's head of an HTTP/1 connection, by which the next is known if it has the same bytes, but for its path: those were judged already.
 *
 * Owns: that memory. What a client says of itself, and of what it wants, changes seldom from one request to the next. Leaves to `readRequestHead` all that is
 * not known, or may be refused. The counterpart of `http2/RequestHeads.ts`. Built against: memory and copies for connections that carry one request.
 */
import { type RequestHead, withTarget } from "./requestHead.ts"

/** Larger heads are not kept, nor longer targets looked at. */
const mostBytes = 1024
const [space, slash] = [32, 47]
const nothing = Buffer.alloc(0)

export class LastHead {
  /** Bytes of the head that was found last. */
  length = 0
  private first = true
  /** Undefined: none is kept. */
  private head: RequestHead | undefined
  private bytes: Buffer = nothing
  /** In `bytes`: where the target begins and ends, and where the head does. */
  private start = 0
  private stop = 0
  private end = 0

  /** What the head says that `bytes` begin with, and `length` is how long it is; undefined: nothing is known of it. */
  find(bytes: Buffer): RequestHead | undefined {
    const { bytes: last, end, head, start, stop } = this
    if (head === undefined) return undefined
    for (let at = 0; at < start; at++) if (bytes[at] !== last[at]) return undefined
    let [at, same] = [start, true]
    for (; bytes[at] !== space; at++) {
      if (at >= bytes.length || at - start > mostBytes) return undefined
      same &&= bytes[at] === last[at]
    }
    this.length = at + end - stop
    if (this.length > bytes.length || bytes.compare(last, stop, end, at, this.length) !== 0) return undefined
    return same && at === stop ? head : withTarget(head, bytes.toString("latin1", start, at))
  }

  /** The first `length` bytes are the head that says so. */
  keep(bytes: Buffer, length: number, head: RequestHead): void {
    const start = head.method.length + 1
    const kept = !this.first && length <= mostBytes && bytes[start] === slash // another form of target names a host
    this.first = false
    this.head = kept ? head : undefined
    if (!kept) return
    if (this.bytes.length < length) this.bytes = Buffer.allocUnsafeSlow(length)
    bytes.copy(this.bytes, 0, 0, length)
    this.start = start
    this.stop = start + head.target.length
    this.end = length
  }
}
