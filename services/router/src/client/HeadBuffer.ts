/**
 * Collects a connection's bytes until a request's head is whole.
 *
 * Owns: the size limit (E2), and early refusal of what can't become a head. Leaves to `readRequestHead`: the verdict on a whole one.
 */
import { maxHeadBytes } from "../http1/fields.ts"
import { type Refusal, refuse } from "../http1/Refusal.ts"
import { HeadScan } from "../http1/scanHead.ts"

const endOfHead = Buffer.from("\r\n\r\n")
const nothing = Buffer.alloc(0)

const scan = new HeadScan()

const isUpperCase = (code: number) => code >= 65 && code <= 90

/** A line end that no reader may accept (RFC 9112 §2.2) would make an unfinished head look unfinished for ever. */
const bareLineFeed = (bytes: Buffer): boolean => {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) if (at === 0 || bytes[at - 1] !== 13) return true
  return false
}

export class HeadBuffer {
  /** An unfinished head is here, and its time limit is running. */
  waiting = false
  /** Field lines of the head that was taken last, for `readRequestHead`; -1 when they were not scanned. */
  scanned = -1
  private held: Buffer = nothing
  private skipped = false

  get length(): number {
    return this.held.length
  }

  get empty(): boolean {
    return this.held.length === 0
  }

  add(segment: Buffer): void {
    this.held = this.held.length === 0 ? segment : Buffer.concat([this.held, segment])
  }

  /** A whole head with its empty line, latin1; undefined while there is none. */
  take(): string | Refusal | undefined {
    // RFC 9112 §2.2: at least one empty line before a request line is ignored. One is.
    if (!this.skipped && this.held.length >= 2 && this.held[0] === 13 && this.held[1] === 10) {
      this.skipped = true
      this.held = this.held.subarray(2)
    }
    if (this.held.length === 0) return undefined
    const plain = scan.read(this.held)
    const end = plain ? scan.length : this.held.indexOf(endOfHead) + 4
    if (end < 4 || end > maxHeadBytes) return this.unfinished()
    this.scanned = plain ? scan.found : -1
    const text = this.held.toString("latin1", 0, end)
    this.held = end === this.held.length ? nothing : this.held.subarray(end)
    this.waiting = false
    this.skipped = false
    return text
  }

  private unfinished(): Refusal | undefined {
    const first = this.held[0]!
    if (!isUpperCase(first) && !(first === 13 && this.held.length === 1)) return refuse(400, "request-line")
    if (bareLineFeed(this.held.length > maxHeadBytes ? this.held.subarray(0, maxHeadBytes) : this.held)) return refuse(400, "bare-lf")
    return this.held.length > maxHeadBytes ? refuse(431, "head-too-large") : undefined
  }

  /** What lies behind the last head taken; the buffer is empty afterwards. */
  rest(): Buffer {
    const rest = this.held
    this.held = nothing
    this.waiting = false
    return rest
  }
}
