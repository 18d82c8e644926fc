/**
 * Large buffers that are used again and again, for the whole process.
 *
 * Owns: their size, how many are kept, and from how large pieces Node cuts small buffers. Leaves to its users: giving one back when nobody looks at it any more, which is when the write that has it
 * calls back. Built against: fresh memory for every turn's bytes, which costs the kernel more than moving them does.
 */
/** Half of it doubles the writes of a long body, which costs a tenth. A slow client of one may hold two of them. */
export const largeBytes = 128 * 1024
const maxFree = 64
const free: Array<Buffer> = []

/**
 * Node cuts what `allocUnsafe` gives from slabs of 8 KiB, which a handful of answers use up. Not much larger either: whatever is still held keeps
 * its whole slab, and slow clients hold things.
 */
const slabBytes = 32 * 1024
export const useLargeSlabs = (): void => {
  Buffer.poolSize = Math.max(Buffer.poolSize, slabBytes)
}

export const takeLarge = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(largeBytes)

/** Whoever forgets to give one back leaves it to the garbage collector, nothing worse. */
export const giveLarge = (buffer: Buffer): void => {
  if (free.length < maxFree) free.push(buffer)
}
