/**
 * What the heads of one origin's answers have in common: from one to the next most lines are the same, and come in the same order.
 *
 * Owns: which lines vary, told from two heads in a row; whether the others, in runs between those, stand in a head to the byte; what is known of them
 * then. Leaves to `scanHead.ts` and `responseHead.ts`: all that varies, and every head before something is known. Built against: reading, judging and
 * writing the same server, type and security policy for each answer, byte by byte. Whether a line is well-formed, and what it means, depends on its own
 * bytes alone, so one native comparison of a run stands for all that.
 */
import { Field, responseFieldAt } from "./fieldNames.ts"
import { lines, stride } from "./fields.ts"
import type { ResponseHead } from "./responseHead.ts"

/** After so many heads that had something else where a run was expected, the next two are looked at. Dates change each second. */
const lookEvery = 64
/** Larger heads are not remembered: an origin costs the edge some four times as much at most. */
const mostBytes = 4096
const mostLines = 64
/** Where every other line varies, a comparison for each of the rest would cost more than reading it. */
const mostRuns = 8
/** A few bytes are read sooner than compared. */
const leastBytes = 24

/** A field that the edge reads, and where its value stands. */
interface Other {
  readonly field: Field
  readonly start: number
  readonly end: number
  readonly value: string
}

/** RFC 9112 §4. */
export interface StatusLine {
  readonly minor: number
  readonly status: number
  readonly reason: string
}

/** Lines that don't vary, one behind the other; the one that begins with a head's first line has the status line too. All places are in its own bytes. */
export interface Run {
  readonly bytes: Buffer
  /** How many lines. */
  readonly count: number
  /** The numbers of `lines`. */
  readonly places: Int32Array
  /** Of the lines that pass, the slots in `places`, and the bytes with their CRLFs. */
  readonly passing: ReadonlyArray<number>
  readonly passed: Buffer
  readonly others: ReadonlyArray<Other>
  /** What passes in HPACK, once that was wanted. */
  coded: Uint8Array | undefined
  /** The status line's parts, as soon as they were read; null: it is none. */
  status: StatusLine | null | undefined
  /** Of one that is a whole head, once that was read: what it says. */
  head: ResponseHead | undefined
}

/** One that is remembered. */
interface Head {
  readonly bytes: Buffer
  /** The numbers of `lines`. */
  readonly places: Int32Array
}

/** In memory of its own: it lasts, and would keep all of a slab. Undefined when it is too large. */
const copyOf = (bytes: Uint8Array, length: number, found: number): Head | undefined => {
  if (length > mostBytes || found > mostLines) return undefined
  const copy = Buffer.allocUnsafeSlow(length)
  copy.set(bytes.subarray(0, length))
  return { bytes: copy, places: lines.slice(0, found * stride) }
}

const nameEnd = 1
const lineEnd = 4

/** Whether the line in `slot` is the same in both, from its start up to another of its numbers. */
const same = (one: Head, other: Head, slot: number, number: number): boolean => {
  const [first, second] = [one.places, other.places]
  return one.bytes.compare(other.bytes, second[slot], second[slot + number], first[slot], first[slot + number]) === 0
}

/** Of the lines from number `first` to the one before `behind`. */
const runOf = (head: Head, first: number, behind: number): Run => {
  const start = first === 0 ? 0 : head.places[first * stride]!
  const bytes = head.bytes.subarray(start, head.places[(behind - 1) * stride + lineEnd])
  const places = head.places.slice(first * stride, behind * stride).map((number, at) => (at % stride > lineEnd ? number : number - start))
  const passing: Array<number> = []
  const others: Array<Other> = []
  for (let slot = 0; slot < places.length; slot += stride) {
    const [from, to] = [places[slot + 2]!, places[slot + 3]!]
    const field = responseFieldAt(bytes, places[slot]!, places[slot + nameEnd]!, places[slot + 5]!)
    if (field === Field.Pass) passing.push(slot)
    else if (field !== Field.Drop) others.push({ field, start: from, end: to, value: bytes.toString("latin1", from, to) })
  }
  const passed = Buffer.concat(passing.map((slot) => bytes.subarray(places[slot], places[slot + lineEnd])))
  return { bytes, count: behind - first, places, passing, passed, others, coded: undefined, status: undefined, head: undefined }
}

/** What stays the same from one to the other; nothing when they have different fields. */
const runsOf = (before: Head, head: Head): Array<Run | undefined> => {
  const { length } = before.places
  if (head.places.length !== length || length === 0) return []
  const runs: Array<Run | undefined> = []
  let [first, made] = [-1, 0]
  for (let slot = 0; slot <= length; slot += stride) {
    const line = slot / stride
    if (slot < length && !same(before, head, slot, nameEnd)) return []
    const stays = slot < length && same(before, head, slot, lineEnd)
    if (stays && first < 0) first = line
    if (stays) continue
    if (first >= 0 && made < mostRuns && head.places[slot - stride + lineEnd]! - head.places[first * stride]! >= leastBytes) {
      runs[first] = runOf(head, first, line)
      made++
    }
    first = -1
  }
  return runs
}

export class RepeatedHead {
  /** By the number of the line that they begin with. */
  runs: ReadonlyArray<Run | undefined> = []
  /** The next heads are read as a whole, and the first of the two is here once it came. */
  private looking = false
  private before: Head | undefined
  /** This head had something else than a run where one begins, or no run is known. */
  private missed = false
  /** Such heads since the last look. */
  private strange = 0

  /** A head begins. */
  begin(): void {
    this.missed = this.runs.length === 0
  }

  /** The run that begins with the head's line of this number, if it stands at `at` and ends before `limit`. Line 0 stands at 0, with the status line. */
  find(line: number, bytes: Uint8Array, at: number, limit: number): Run | undefined {
    const run = line >= this.runs.length || this.looking ? undefined : this.runs[line]
    if (run === undefined) return undefined
    const end = at + run.bytes.length
    if (end <= limit && run.bytes.compare(bytes, at, end) === 0) return run
    this.missed = true
    return undefined
  }

  /** The head is whole: the first `length` of `bytes`, with `found` lines. */
  end(bytes: Uint8Array, length: number, found: number): void {
    if (this.looking) this.look(copyOf(bytes, length, found))
    else if (this.missed && ++this.strange >= lookEvery) this.looking = true
  }

  private look(head: Head | undefined): void {
    const { before } = this
    this.before = before === undefined ? head : undefined
    if (this.before !== undefined) return
    this.looking = false
    this.strange = 0
    this.runs = before === undefined || head === undefined ? [] : runsOf(before, head)
  }
}
