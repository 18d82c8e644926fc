/**
 * Collects a connection's bytes until a request's head is whole.
 *
 * Owns: the size limit (E2), and early refusal of what can't become a head. Leaves to `readRequestHead`: the verdict on a whole one; to `LastHead.ts`: one
 * that is like the last.
 */
import { Gathered } from "../Gathered.ts"
import { maxHeadBytes } from "../http1/fields.ts"
import { HeadSearch } from "../http1/HeadSearch.ts"
import { LastHead } from "../http1/LastHead.ts"
import { isRefusal, type Refusal, refuse } from "../http1/Refusal.ts"
import { type RequestHead, readRequestHead } from "../http1/requestHead.ts"

const search = new HeadSearch()

const isUpperCase = (code: number) => code >= 65 && code <= 90

/** A line end that no reader may accept (RFC 9112 §2.2) would make an unfinished head look unfinished for ever. */
const bareLineFeed = (bytes: Buffer, from: number): boolean => {
  for (let at = bytes.indexOf(10, from); at >= 0; at = bytes.indexOf(10, at + 1)) if (at === 0 || bytes[at - 1] !== 13) return true
  return false
}

export class HeadBuffer {
  /** An unfinished head is here, and its time limit is running. */
  waiting = false
  private readonly held = new Gathered()
  private readonly last = new LastHead()
  /** So many of the held bytes were looked at, and hold no end of a head. */
  private looked = 0
  private skipped = false

  get length(): number {
    return this.held.bytes.length
  }

  get empty(): boolean {
    return this.held.bytes.length === 0
  }

  add(segment: Buffer): void {
    this.held.add(segment)
  }

  /** What the next head says; undefined while it is not whole. */
  take(): RequestHead | Refusal | undefined {
    // RFC 9112 §2.2: at least one empty line before a request line is ignored. One is.
    if (!this.skipped && this.length >= 2 && this.held.bytes[0] === 13 && this.held.bytes[1] === 10) {
      this.skipped = true
      this.drop(2)
    }
    const { bytes } = this.held
    if (bytes.length === 0) return undefined
    const again = this.looked === 0 ? this.last.find(bytes) : undefined
    if (again !== undefined) {
      this.taken(this.last.length)
      return again
    }
    const end = search.find(bytes, this.looked)
    if (end < 4 || end > maxHeadBytes) return this.unfinished(bytes)
    const head = readRequestHead(bytes.toString("latin1", 0, end), search.scanned)
    if (!isRefusal(head)) this.last.keep(bytes, end, head)
    this.taken(end)
    return head
  }

  /** A head of so many bytes. */
  private taken(length: number): void {
    this.drop(length)
    this.waiting = false
    this.skipped = false
  }

  private unfinished(bytes: Buffer): Refusal | undefined {
    const first = bytes[0]!
    const tooLarge = bytes.length > maxHeadBytes
    if (!isUpperCase(first) && !(first === 13 && bytes.length === 1)) return refuse(400, "request-line")
    if (bareLineFeed(tooLarge ? bytes.subarray(0, maxHeadBytes) : bytes, this.looked)) return refuse(400, "bare-lf")
    this.looked = bytes.length
    return tooLarge ? refuse(431, "head-too-large") : undefined
  }

  private drop(count: number): void {
    this.held.drop(count)
    this.looked = 0
  }

  /** What lies behind the last head taken; the buffer is empty afterwards. */
  rest(): Buffer {
    const rest = this.held.bytes
    this.drop(rest.length)
    this.waiting = false
    return rest
  }
}
