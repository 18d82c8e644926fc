/**
 * Finds the lines of a head in one pass over its bytes, if there is nothing unusual about it.
 *
 * Owns: the quick way for heads that are whole and plain. Leaves everything else (unfinished, too large, any byte or line that might be refused) to
 * `findForeignByte` and `scanFields`, whose verdict alone counts: what is found here, they find too (`scanHead.test.ts`).
 */
import { lines, maxFieldLines, maxHeadBytes, stride, tokenByte } from "./fields.ts"
import type { RepeatedHead } from "./RepeatedHead.ts"

/** RFC 9110 §5.5: what may stand in a value or a first line: VCHAR, obs-text, SP, HTAB. */
const textByte = new Uint8Array(256).map((_, code) => Number(code === 9 || (code >= 32 && code !== 127)))
const [tab, lf, cr, space, colon] = [9, 10, 13, 32, 58]

const isSpace = (code: number | undefined): boolean => code === space || code === tab

export class HeadScan {
  /** Bytes of the head, its empty line included. */
  length = 0
  /** Field lines, described in `lines` until the next scan. */
  found = 0

  /** True: the first `length` bytes begin with a whole, plain head. False: nothing is said about them. `repeated`: of whoever sends them. */
  read(bytes: Uint8Array, length = bytes.length, repeated?: RepeatedHead): boolean {
    const limit = Math.min(length, maxHeadBytes)
    repeated?.begin()
    this.found = 0
    let at = this.readRun(bytes, 0, limit, repeated) || this.endOfText(bytes, 0, limit)
    while (at > 0) {
      if (at + 1 < limit && bytes[at] === cr) {
        this.length = at + 2
        if (bytes[at + 1] === lf) repeated?.end(bytes, this.length, this.found)
        return bytes[at + 1] === lf
      }
      if (this.found === maxFieldLines) return false
      at = (this.found > 0 && this.readRun(bytes, at, limit, repeated)) || this.readField(bytes, at, limit)
    }
    return false
  }

  /** Behind the CRLF of a line; 0 when there is none, or something else before it. */
  private endOfText(bytes: Uint8Array, start: number, limit: number): number {
    let at = start
    while (at < limit && textByte[bytes[at]!] === 1) at++
    return at + 1 < limit && bytes[at] === cr && bytes[at + 1] === lf ? at + 2 : 0
  }

  /** Behind lines that need no reading; 0 when these do. */
  private readRun(bytes: Uint8Array, start: number, limit: number, repeated: RepeatedHead | undefined): number {
    const run = repeated?.find(this.found, bytes, start, limit)
    if (run === undefined) return 0
    const slot = this.found * stride
    lines[slot] = start
    lines[slot + 6] = 1
    this.found += run.count
    return start + run.bytes.length
  }

  private readField(bytes: Uint8Array, start: number, limit: number): number {
    let at = start
    let kinds = 0
    for (let kind = 0; at < limit; at++) {
      kind = tokenByte[bytes[at]!]!
      if (kind === 0) break
      kinds |= kind
    }
    if (at === start || at >= limit || bytes[at] !== colon) return 0
    const nameEnd = at++
    const next = this.endOfText(bytes, at, limit)
    if (next === 0) return 0
    let end = next - 2
    while (at < end && isSpace(bytes[at])) at++
    while (end > at && isSpace(bytes[end - 1])) end--
    const slot = this.found++ * stride
    lines[slot] = start
    lines[slot + 1] = nameEnd
    lines[slot + 2] = at
    lines[slot + 3] = end
    lines[slot + 4] = next
    lines[slot + 5] = kinds
    lines[slot + 6] = 0
    return next
  }
}
