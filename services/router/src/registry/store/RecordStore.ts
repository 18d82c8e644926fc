/**
 * Records under keys, in a few large buffers: no object for each.
 *
 * Owns: keys and values, replacing and removing, moving the living out of mostly dead pages. Leaves to `HashIndex.ts`: finding; to `Pages.ts`: room
 * and form; to `hostnameRecord.ts` and `certificateRecord.ts`: what stands in a value. Built against: two gibibytes and a collector's pause of two
 * seconds for a million hosts. Keys are ASCII: they are keys of a bucket.
 */
import { HashIndex } from "./HashIndex.ts"
import { headBytes, Pages, recordBytes } from "./Pages.ts"

export class RecordStore {
  /** Records that are alive. */
  size = 0
  readonly pages = new Pages()
  /** Told before a record dies, by replacement or removal. */
  onDead: (ref: number) => void = () => {}
  /** Told when a record stands elsewhere. */
  onMoved: (from: number, to: number) => void = () => {}
  /** Makes the hash of one process (or snapshot) another than everybody else's: nobody can choose names that collide. */
  readonly seed: number
  private readonly index: HashIndex

  constructor(seed: number = Math.floor(Math.random() * 2 ** 32)) {
    this.seed = seed
    this.index = new HashIndex((ref, key) => this.hasKey(ref, key))
  }

  private hash(key: string): number {
    let hash = this.seed
    for (let at = 0; at < key.length; at++) {
      hash = Math.imul(hash ^ key.charCodeAt(at), 0x85eb_ca6b)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
    return (hash ^ (hash >>> 16)) >>> 0
  }

  private keyLength(ref: number): number {
    return this.pages.word(ref, 3) & 0xffff
  }

  private hasKey(ref: number, key: string): boolean {
    if (this.keyLength(ref) !== key.length) return false
    const { bytes } = this.pages.page(ref)
    const start = this.pages.start(ref) + headBytes
    for (let at = 0; at < key.length; at++) if (bytes[start + at] !== key.charCodeAt(at)) return false
    return true
  }

  /** 0: none. A reference holds until the next change of the store. */
  find(key: string): number {
    return this.index.find(this.hash(key), key)
  }

  keyOf(ref: number): string {
    const start = this.pages.start(ref) + headBytes
    return this.pages.page(ref).bytes.toString("latin1", start, start + this.keyLength(ref))
  }

  /** A number from 0 to 65,535 that goes with the record. */
  tagOf(ref: number): number {
    return this.pages.word(ref, 3) >>> 16
  }

  /** A number that can be changed in place; 0 in a new record. */
  markOf(ref: number): number {
    return this.pages.word(ref, 2)
  }

  setMark(ref: number, mark: number): void {
    this.pages.setWord(ref, 2, mark)
  }

  /** The value's bytes in place, up to 7 bytes of padding behind; copy what shall outlive the next change. */
  valueOf(ref: number): Buffer {
    const start = this.pages.start(ref)
    return this.pages.page(ref).bytes.subarray(start + headBytes + this.keyLength(ref), start + this.pages.word(ref, 0))
  }

  /** Whether the record has exactly this tag and value. */
  equals(ref: number, value: Buffer, tag: number): boolean {
    const length = recordBytes(this.keyLength(ref), value.length)
    return this.tagOf(ref) === tag && this.pages.word(ref, 0) === length && this.valueOf(ref).subarray(0, value.length).equals(value)
  }

  /** Stands in place of what the key had. The mark goes with the key. Gives back the reference. */
  put(key: string, value: Buffer, tag: number): number {
    const { pages } = this
    const hash = this.hash(key)
    const before = this.index.find(hash, key)
    const ref = pages.append(recordBytes(key.length, value.length))
    pages.setWord(ref, 1, hash)
    pages.setWord(ref, 2, before === 0 ? 0 : this.markOf(before))
    pages.setWord(ref, 3, key.length | (tag << 16))
    const { bytes } = pages.page(ref)
    const start = pages.start(ref)
    bytes.write(key, start + headBytes, "latin1")
    const end = start + headBytes + key.length
    value.copy(bytes, end)
    bytes.fill(0, end + value.length, start + pages.word(ref, 0))
    if (before === 0) {
      this.index.insert(hash, ref)
      this.size++
    } else {
      this.index.replace(hash, before, ref)
      this.bury(before)
    }
    return ref
  }

  remove(key: string): boolean {
    const hash = this.hash(key)
    const ref = this.index.find(hash, key)
    if (ref === 0) return false
    this.index.remove(hash, ref)
    this.size--
    this.bury(ref)
    return true
  }

  private bury(ref: number): void {
    this.onDead(ref)
    this.pages.bury(ref)
  }

  /**
   * Moves the living out of the page that has the fewest: at most a mebibyte copied, about a millisecond. Nothing moves while it is pinned: what moved
   * behind the end that a base was begun with would stand in none of its pages.
   */
  emptyOne(): void {
    const { pages } = this
    const place = pages.pins === 0 ? pages.emptiest() : 0
    if (place === 0) return
    pages.visit(place, (ref) => {
      const length = pages.word(ref, 0)
      const to = pages.append(length)
      pages.page(ref).bytes.copy(pages.page(to).bytes, pages.start(to), pages.start(ref), pages.start(ref) + length)
      this.index.replace(pages.word(ref, 1), ref, to)
      this.onMoved(ref, to)
      pages.bury(ref)
    })
    pages.dropEmpty(place)
  }

  /** Takes over a page of a snapshot that was written with this store's seed. */
  adopt(bytes: Buffer, visit: (ref: number) => void): void {
    this.pages.adopt(bytes, (ref) => {
      this.size++
      this.index.insert(this.pages.word(ref, 1), ref)
      visit(ref)
    })
  }
}
