/**
 * Hash → reference, in typed arrays: the table of a store that may hold millions of records.
 *
 * Owns: where a hash stands, and growing without a stall: extendible hashing (Fagin et al., 1979), so one segment of 4,096 slots is split at a
 * time (well below a millisecond) however large the whole is. Leaves to `RecordStore.ts`: what a reference means; several records may share a hash.
 * Built against: a `Map` of a million names, whose rehash stood still for 398 ms and whose keys the collector has to visit each time.
 */

const segmentSlots = 4096
const fullAt = 0.75
/** Deeper than this, hashes that agree in their first bits make their one segment larger instead: 2^16 directory places are enough. */
const maxDepth = 16

class Segment {
  /** How many leading bits of the hash all of its records share. */
  readonly depth: number
  readonly hashes: Uint32Array
  /** 0: free. */
  readonly refs: Uint32Array
  readonly mask: number
  count = 0

  constructor(depth: number, slots: number) {
    this.depth = depth
    this.mask = slots - 1
    this.hashes = new Uint32Array(slots)
    this.refs = new Uint32Array(slots)
  }

  add(hash: number, ref: number): void {
    let slot = hash & this.mask
    while (this.refs[slot] !== 0) slot = (slot + 1) & this.mask
    this.hashes[slot] = hash
    this.refs[slot] = ref
    this.count++
  }

  slotOf(hash: number, ref: number): number {
    let slot = hash & this.mask
    while (this.refs[slot] !== ref) {
      if (this.refs[slot] === 0) throw new Error("the index does not hold this record")
      slot = (slot + 1) & this.mask
    }
    return slot
  }

  /** Linear probing without tombstones: what stands behind the freed slot moves up if it may (Knuth, 6.4 algorithm R). */
  free(freed: number): void {
    const { hashes, mask, refs } = this
    let hole = freed
    for (let slot = (hole + 1) & mask; refs[slot] !== 0; slot = (slot + 1) & mask) {
      const home = hashes[slot]! & mask
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      hashes[hole] = hashes[slot]!
      refs[hole] = refs[slot]!
      hole = slot
    }
    refs[hole] = 0
    this.count--
  }
}

export class HashIndex {
  private directory: Array<Segment> = [new Segment(0, segmentSlots)]
  private depth = 0
  private readonly same: (ref: number, key: string) => boolean

  /** `same`: whether the record at this reference has this key. */
  constructor(same: (ref: number, key: string) => boolean) {
    this.same = same
  }

  private segment(hash: number): Segment {
    return this.directory[this.depth === 0 ? 0 : hash >>> (32 - this.depth)]!
  }

  /** The reference of this key; 0 when there is none. */
  find(hash: number, key: string): number {
    const { hashes, mask, refs } = this.segment(hash)
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const ref = refs[slot]!
      if (ref === 0) return 0
      if (hashes[slot] === hash && this.same(ref, key)) return ref
    }
  }

  /** All references under this hash, whatever their keys are. */
  under(hash: number): ReadonlyArray<number> {
    const { hashes, mask, refs } = this.segment(hash)
    const found: Array<number> = []
    for (let slot = hash & mask; refs[slot] !== 0; slot = (slot + 1) & mask) if (hashes[slot] === hash) found.push(refs[slot]!)
    return found
  }

  /** The key must not stand here yet. */
  insert(hash: number, ref: number): void {
    let segment = this.segment(hash)
    while (segment.count >= (segment.mask + 1) * fullAt) {
      this.split(segment, hash)
      segment = this.segment(hash)
    }
    segment.add(hash, ref)
  }

  replace(hash: number, before: number, after: number): void {
    const segment = this.segment(hash)
    segment.refs[segment.slotOf(hash, before)] = after
  }

  remove(hash: number, ref: number): void {
    const segment = this.segment(hash)
    segment.free(segment.slotOf(hash, ref))
  }

  private split(full: Segment, hash: number): void {
    const larger = full.depth >= maxDepth
    if (!larger && full.depth === this.depth) {
      this.directory = this.directory.flatMap((segment) => [segment, segment])
      this.depth++
    }
    const depth = larger ? full.depth : full.depth + 1
    const slots = (full.mask + 1) * (larger ? 2 : 1)
    const [low, high] = larger ? [new Segment(depth, slots)] : [new Segment(depth, slots), new Segment(depth, slots)]
    for (let slot = 0; slot <= full.mask; slot++) {
      if (full.refs[slot] === 0) continue
      const each = full.hashes[slot]!
      const target = high !== undefined && ((each >>> (32 - depth)) & 1) === 1 ? high : low!
      target.add(each, full.refs[slot]!)
    }
    // The directory places that shared the full segment: its leading bits, whatever follows.
    const span = 1 << (this.depth - full.depth)
    const first = this.depth === 0 ? 0 : ((hash >>> (32 - this.depth)) & ~(span - 1)) >>> 0
    for (let at = 0; at < span; at++) this.directory[first + at] = high !== undefined && at >= span / 2 ? high : low!
  }
}
