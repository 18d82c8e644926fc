/**
 * What a request is named by, to its origin, in the access log, in error pages and traces.
 *
 * Owns: ids that are unique in time and space, short, and cheap: a random prefix for each process and a counter. Kept as bytes, for nearly all of them are
 * put into a head and a log line, and nobody reads them; 36 ids share all bytes but the last.
 */
import { randomBytes } from "node:crypto"

const digits = Buffer.from("0123456789abcdefghijklmnopqrstuvwxyz")

export class RequestId {
  private readonly start: Buffer
  private readonly last: number

  /** `last`: the byte behind `start`. */
  constructor(start: Buffer, last: number) {
    this.start = start
    this.last = last
  }

  get length(): number {
    return this.start.length + 1
  }

  /** `out` has room; returns the place behind it. */
  putInto(out: Buffer, at: number): number {
    const { start } = this
    out.set(start, at)
    const end = at + start.length
    out[end] = this.last
    return end + 1
  }

  toString(): string {
    return this.start.toString("latin1") + String.fromCharCode(this.last)
  }
}

/** Gives the ids of one process, a new one with each call. */
export const requestIds = (): (() => RequestId) => {
  const prefix = randomBytes(6).toString("hex")
  let [count, digit] = [0, digits.length]
  let start = Buffer.alloc(0)
  return () => {
    if (digit === digits.length) {
      start = Buffer.from(`${prefix}-${(count++).toString(36)}`)
      digit = 0
    }
    return new RequestId(start, digits[digit++]!)
  }
}
