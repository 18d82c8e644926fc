/**
 * Buffers that are used again and again, for the whole process.
 *
 * Owns: their sizes, how many are kept, and from how large pieces Node cuts small buffers. Leaves to its users: giving one back when nobody looks
 * at it any more, which is when the write that has it calls back. Built against: fresh memory for every turn's bytes, which costs the kernel more
 * than moving them does, and which V8 counts: megabytes of it between two young collections make it begin full ones, over and over.
 */
/** Half of it doubles the writes of a long body, which costs a tenth. */
export const largeBytes = 128 * 1024
/** What is lent for a client that may take nothing: it is held until that client is cut off, and once more in records of TLS. */
export const mediumBytes = 48 * 1024

/** Sizes are multiples of it: what waits for a slow client takes little more than its bytes. */
const stepBytes = 4 * 1024
/** Of each size. */
const maxFree = 64
/** By how many steps. */
const free = Array.from({ length: largeBytes / stepBytes + 1 }, (): Array<Buffer> => [])

/**
 * Node cuts what `allocUnsafe` gives from slabs, of 8 or of 64 KiB by its version; a handful of answers use up 8. Not much larger either: whatever
 * is still held keeps its whole slab, and slow clients hold things.
 */
const slabBytes = 32 * 1024
export const useLargeSlabs = (): void => {
  Buffer.poolSize = Math.max(Buffer.poolSize, slabBytes)
}

/** At least so many bytes, of at most `largeBytes`. */
export const takeBuffer = (bytes: number): Buffer => {
  const steps = Math.ceil(bytes / stepBytes)
  return free[steps]!.pop() ?? Buffer.allocUnsafeSlow(steps * stepBytes)
}

/** The whole of what was taken. Whoever forgets to give one back leaves it to the garbage collector, nothing worse. */
export const giveBack = (buffer: Buffer): void => {
  const list = free[buffer.length / stepBytes]!
  if (list.length < maxFree) list.push(buffer)
}
