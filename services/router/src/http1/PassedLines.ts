/**
 * The field lines of a head that pass untouched, where they stand in the bytes that came.
 *
 * Owns: which lines those are, as bytes or as text. Leaves to `responseHead.ts`: choosing them; to `writeBlock.ts`: HPACK. Its lines are valid until the
 * next head is read, and in the turn in which their bytes came. Built against: text that is cut, joined and cut again for each answer.
 */
import { lines, maxFieldLines } from "./fields.ts"

/** Numbers kept for each line: start, end of name, start of value, end of value, start of the next line. A colon follows the name. */
export const placeStride = 5

export class PassedLines {
  bytes: Buffer = Buffer.alloc(0)
  count = 0
  /** Of all of them with their CRLFs. */
  length = 0
  readonly places = new Int32Array(placeStride * maxFieldLines)

  /** None so far, of these bytes. */
  begin(bytes: Buffer): void {
    this.bytes = bytes
    this.clear()
  }

  /** `slot`: of a line among those of the last scan of these bytes. */
  add(slot: number): void {
    const { places } = this
    const place = this.count++ * placeStride
    places[place] = lines[slot]!
    places[place + 1] = lines[slot + 1]!
    places[place + 2] = lines[slot + 2]!
    places[place + 3] = lines[slot + 3]!
    places[place + 4] = lines[slot + 4]!
    this.length += lines[slot + 4]! - lines[slot]!
  }

  clear(): void {
    this.count = 0
    this.length = 0
  }

  /** `name`: in lower case. */
  has(name: string): boolean {
    const { bytes, count, places } = this
    for (let place = 0; place < count * placeStride; place += placeStride) {
      const start = places[place]!
      let at = 0
      if (places[place + 1]! - start !== name.length) continue
      while (at < name.length && (bytes[start + at]! | 32) === name.charCodeAt(at)) at++
      if (at === name.length) return true
    }
    return false
  }

  /** Removes the lines with these names, which are in lower case. */
  removeNamed(names: ReadonlyArray<string>): void {
    const { count, places } = this
    const named = new Set(names) // an origin may name thousands of them, in a head of a thousand lines
    this.clear()
    for (let place = 0; place < count * placeStride; place += placeStride) {
      if (named.has(this.bytes.toString("latin1", places[place]!, places[place + 1]!).toLowerCase())) continue
      places.copyWithin(this.count++ * placeStride, place, place + placeStride)
      this.length += places[place + 4]! - places[place]!
    }
  }

  /** Calls for each run of bytes in which one line follows the other. */
  private eachRun(take: (start: number, end: number) => void): void {
    const { count, places } = this
    let [start, end] = [0, 0]
    for (let place = 0; place < count * placeStride; place += placeStride) {
      if (places[place] !== end) {
        if (end > start) take(start, end)
        start = places[place]!
      }
      end = places[place + 4]!
    }
    if (end > start) take(start, end)
  }

  /** Each with its CRLF; returns the place behind them. */
  copyTo(out: Buffer, start: number): number {
    let at = start
    this.eachRun((from, to) => {
      at += this.bytes.copy(out, at, from, to)
    })
    return at
  }

  /** Each with its CRLF, one code unit for each byte. */
  get text(): string {
    let text = ""
    this.eachRun((from, to) => {
      text += this.bytes.toString("latin1", from, to)
    })
    return text
  }

  /** Those that were here, as `text`; now there are none. */
  takeText(): string {
    const { text } = this
    this.clear()
    return text
  }
}

/** Of an answer that has none. */
export const noLines = new PassedLines()
