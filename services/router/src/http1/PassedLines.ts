/**
 * The field lines of a head that pass untouched, where they stand in the bytes that came.
 *
 * Owns: which lines those are, as bytes or as text. Leaves to `responseHead.ts`: choosing them, line by line or in the runs of a `RepeatedHead`;
 * to `writeBlock.ts`: HPACK. Its lines are valid until the next head is read, and in the turn in which their bytes came. Built against: text that is cut, joined and cut again for each answer.
 */
import { lines, maxFieldLines } from "./fields.ts"
import type { Run } from "./RepeatedHead.ts"

/** Numbers kept for each line: start, end of name, start of value, end of value, start of the next line. A colon follows the name. */
export const placeStride = 5

const isNamed = (bytes: Buffer, start: number, end: number, name: string): boolean => {
  if (end - start !== name.length) return false
  for (let at = 0; at < name.length; at++) if ((bytes[start + at]! | 32) !== name.charCodeAt(at)) return false
  return true
}

export class PassedLines {
  bytes: Buffer = Buffer.alloc(0)
  /** Entries: each is a line, or a run of them. */
  count = 0
  /** Of all of them with their CRLFs. */
  length = 0
  /** Of an entry that is a line; of one that is a run, only where it stands. */
  readonly places = new Int32Array(placeStride * maxFieldLines)
  /** By entry: the run that it is; undefined for a line. */
  readonly runs: Array<Run | undefined> = []

  /** None so far, of these bytes. */
  begin(bytes: Buffer): void {
    this.bytes = bytes
    this.clear()
  }

  /** `slot`: of a line among those of the last scan of these bytes. */
  add(slot: number): void {
    this.addLine(lines, slot, 0)
  }

  /** `shift`: how far behind the place that `from` says. */
  private addLine(from: Int32Array, slot: number, shift: number): void {
    const { places } = this
    const start = from[slot]! + shift
    const end = from[slot + 4]! + shift
    this.runs[this.count] = undefined
    const place = this.count++ * placeStride
    places[place] = start
    places[place + 1] = from[slot + 1]! + shift
    places[place + 2] = from[slot + 2]! + shift
    places[place + 3] = from[slot + 3]! + shift
    places[place + 4] = end
    this.length += end - start
  }

  /** Those of a run that pass; it stands at `at`. */
  addRun(run: Run, at: number): void {
    this.places[this.count * placeStride] = at
    this.runs[this.count++] = run
    this.length += run.passed.length
  }

  clear(): void {
    this.count = 0
    this.length = 0
  }

  /** `name`: in lower case. */
  has(name: string): boolean {
    const { bytes, count, places, runs } = this
    for (let entry = 0; entry < count; entry++) {
      const place = entry * placeStride
      const run = runs[entry]
      if (run === undefined) {
        if (isNamed(bytes, places[place]!, places[place + 1]!, name)) return true
      } else for (const slot of run.passing) if (isNamed(run.bytes, run.places[slot]!, run.places[slot + 1]!, name)) return true
    }
    return false
  }

  /** Each line becomes an entry. */
  private spread(): void {
    const [runs, places] = [this.runs.slice(0, this.count), this.places.slice(0, this.count * placeStride)]
    this.clear()
    for (const [entry, run] of runs.entries()) {
      const place = entry * placeStride
      if (run === undefined) this.addLine(places, place, 0)
      else for (const slot of run.passing) this.addLine(run.places, slot, places[place]!)
    }
  }

  /** Removes the lines with these names, which are in lower case. */
  removeNamed(names: ReadonlyArray<string>): void {
    this.spread()
    const { count, places } = this
    const named = new Set(names) // an origin may name thousands of them, in a head of a thousand lines
    this.clear()
    for (let place = 0; place < count * placeStride; place += placeStride) {
      if (named.has(this.bytes.toString("latin1", places[place]!, places[place + 1]!).toLowerCase())) continue
      places.copyWithin(this.count++ * placeStride, place, place + placeStride)
      this.length += places[place + 4]! - places[place]!
    }
  }

  /** Each with its CRLF; `out` has room. Returns the place behind them. */
  putInto(out: Buffer, start: number): number {
    const { bytes, count, places, runs } = this
    let at = start
    for (let entry = 0; entry < count; entry++) {
      const run = runs[entry]
      const place = entry * placeStride
      if (run === undefined) at += bytes.copy(out, at, places[place], places[place + 4])
      else {
        out.set(run.passed, at)
        at += run.passed.length
      }
    }
    return at
  }

  /** Each with its CRLF, one code unit for each byte. */
  get text(): string {
    const bytes = Buffer.allocUnsafe(this.length)
    return bytes.toString("latin1", 0, this.putInto(bytes, 0))
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
