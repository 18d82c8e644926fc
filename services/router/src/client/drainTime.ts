/**
 * How long a client may seem to take nothing.
 *
 * Built against: calling a client too slow that reads all the time. Node tells of a write when all of it has left, and one may have 128 KiB.
 */
const leastBytes = 32 * 1024
const longest = 4

/** In milliseconds, for `waiting` bytes; `drainMillis` for as many as a write usually has. */
export const drainTime = (waiting: number, drainMillis: number): number =>
  drainMillis * Math.min(longest, Math.max(1, Math.ceil(waiting / leastBytes)))
