/**
 * Records under keys, in a few large buffers: no object for each.
 *
 * Owns: pages of a mebibyte that are only appended to, what is alive in them, moving the living out of mostly dead pages, and the pages' form,
 * which is the snapshot's form too (`baseFile.ts`). Leaves to `HashIndex.ts`: finding; to `hostnameRecord.ts` and `certificateRecord.ts`: what
 * stands in a record. Built against: two gibibytes and a collector's pause of two seconds for a million hosts.
 *
 * A record is 16 bytes of head (length with the top bit for "dead", hash, mark, key length and tag) and key and value, rounded up to 8 bytes.
 * A reference counts units of 8 bytes over all pages; 0 is none. Keys are ASCII: they are keys of a bucket.
 */
import { HashIndex } from "./HashIndex.ts"

export const pageBytes = 1024 * 1024
const unit = 8
const pageUnits = pageBytes / unit
const pageShift = Math.log2(pageUnits)
const headBytes = 16
const deadBit = 0x8000_0000
/** Pages are emptied when less than this part of them is alive. */
const emptyBelow = 0.6
/** Moving the living is worth it when this part of all that was written is dead, and not only a page or two. */
const worthPart = 0.2

export interface Page {
  readonly bytes: Buffer
  readonly words: Uint32Array
  /** Bytes that records stand in. */
  used: number
  /** Bytes of living records. */
  live: number
}

const pageOver = (bytes: Buffer, used: number): Page => ({
  ...{ bytes, used, live: 0 },
  words: new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4))
})

export class RecordStore {
  /** Records that are alive. */
  size = 0
  /** While a snapshot copies pages or a sweep goes through them, none is emptied. */
  pins = 0
  /** Told before a record dies, by replacement or removal. */
  onDead: (ref: number) => void = () => {}
  /** Makes the hash of one process (or snapshot) another than everybody else's: nobody can choose names that collide. */
  readonly seed: number
  private readonly index: HashIndex
  /** The first place stays empty: no record has reference 0. */
  private readonly pages: Array<Page | undefined> = [undefined]
  private readonly freePlaces: Array<number> = []
  private current = 0
  private usedBytes = 0
  private liveBytes = 0

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

  private hasKey(ref: number, key: string): boolean {
    const { bytes, words } = this.page(ref)
    const start = (ref & (pageUnits - 1)) * unit
    if ((words[start / 4 + 3]! & 0xffff) !== key.length) return false
    for (let at = 0; at < key.length; at++) if (bytes[start + headBytes + at] !== key.charCodeAt(at)) return false
    return true
  }

  private page(ref: number): Page {
    return this.pages[ref >>> pageShift]!
  }

  private word(ref: number, at: number): number {
    return this.page(ref).words[(ref & (pageUnits - 1)) * 2 + at]!
  }

  /** 0: none. A reference holds until the next change of the store. */
  find(key: string): number {
    return this.index.find(this.hash(key), key)
  }

  keyOf(ref: number): string {
    const start = (ref & (pageUnits - 1)) * unit + headBytes
    return this.page(ref).bytes.toString("latin1", start, start + (this.word(ref, 3) & 0xffff))
  }

  /** A number from 0 to 65,535 that goes with the record. */
  tagOf(ref: number): number {
    return this.word(ref, 3) >>> 16
  }

  /** A number that can be changed in place; 0 in a new record. */
  markOf(ref: number): number {
    return this.word(ref, 2)
  }

  setMark(ref: number, mark: number): void {
    this.page(ref).words[(ref & (pageUnits - 1)) * 2 + 2] = mark
  }

  /** The value's bytes in place, up to 7 bytes of padding behind; copy what shall outlive the next change. */
  valueOf(ref: number): Buffer {
    const start = (ref & (pageUnits - 1)) * unit
    const end = start + (this.word(ref, 0) & ~deadBit)
    return this.page(ref).bytes.subarray(start + headBytes + (this.word(ref, 3) & 0xffff), end)
  }

  /** Whether the record has exactly this tag and value. */
  equals(ref: number, value: Buffer, tag: number): boolean {
    const length = recordBytes(this.word(ref, 3) & 0xffff, value.length)
    return this.tagOf(ref) === tag && this.word(ref, 0) === length && this.valueOf(ref).subarray(0, value.length).equals(value)
  }

  /** Stands in place of what the key had. The mark goes with the key. */
  put(key: string, value: Buffer, tag: number): void {
    const hash = this.hash(key)
    const before = this.index.find(hash, key)
    const ref = this.append(recordBytes(key.length, value.length))
    const { bytes, words } = this.page(ref)
    const start = (ref & (pageUnits - 1)) * unit
    words[start / 4 + 1] = hash
    words[start / 4 + 2] = before === 0 ? 0 : this.markOf(before)
    words[start / 4 + 3] = key.length | (tag << 16)
    bytes.write(key, start + headBytes, "latin1")
    const end = start + headBytes + key.length
    value.copy(bytes, end)
    bytes.fill(0, end + value.length, start + words[start / 4]!)
    if (before === 0) {
      this.index.insert(hash, ref)
      this.size++
    } else {
      this.index.replace(hash, before, ref)
      this.bury(before)
    }
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

  /** Room for a record of this many bytes, with its length written. */
  private append(length: number): number {
    let page = this.pages[this.current]
    if (page === undefined || page.used + length > page.bytes.length) {
      // A record larger than a page has a page of its own, which is full: references count no further than a page's units.
      page = this.open(pageOver(Buffer.allocUnsafeSlow(Math.max(pageBytes, length)), 0))
    }
    const start = page.used
    page.words[start / 4] = length
    page.used += length
    page.live += length
    this.usedBytes += length
    this.liveBytes += length
    return this.current * pageUnits + start / unit
  }

  private open(page: Page): Page {
    this.current = this.freePlaces.pop() ?? this.pages.length
    this.pages[this.current] = page
    return page
  }

  private bury(ref: number): void {
    this.onDead(ref)
    this.forget(ref)
  }

  private forget(ref: number): void {
    const page = this.page(ref)
    const length = this.word(ref, 0)
    page.words[(ref & (pageUnits - 1)) * 2] = (length | deadBit) >>> 0
    page.live -= length
    this.liveBytes -= length
    if (page.live === 0) this.drop(ref >>> pageShift)
  }

  /** An empty page that nothing is appended to goes. */
  private drop(place: number): void {
    if (place === this.current || this.pins > 0) return
    this.usedBytes -= this.pages[place]!.used
    this.pages[place] = undefined
    this.freePlaces.push(place)
  }

  /** Bytes of memory in pages, dead records included. */
  get bytes(): number {
    return this.pages.reduce((sum, page) => sum + (page?.bytes.length ?? 0), 0)
  }

  /** Whether `emptyOne` has something to do. */
  get worthEmptying(): boolean {
    return this.pins === 0 && this.usedBytes - this.liveBytes > Math.max(4 * pageBytes, this.usedBytes * worthPart)
  }

  /** Moves the living out of the page that has the fewest: at most a mebibyte copied, about a millisecond. */
  emptyOne(): void {
    let place = 0
    let least = emptyBelow
    this.pages.forEach((page, at) => {
      if (page === undefined || at === this.current) return
      const part = page.live / page.used
      if (part < least) [place, least] = [at, part]
    })
    if (place === 0) return
    this.refsOf(place, (ref) => {
      const length = this.word(ref, 0)
      const to = this.append(length)
      const from = (ref & (pageUnits - 1)) * unit
      this.page(ref).bytes.copy(this.page(to).bytes, (to & (pageUnits - 1)) * unit, from, from + length)
      this.index.replace(this.word(ref, 1), ref, to)
      this.forget(ref)
    })
    if (this.pages[place] !== undefined && this.pages[place]!.live === 0) this.drop(place)
  }

  private refsOf(place: number, visit: (ref: number) => void): void {
    const page = this.pages[place]!
    for (let at = 0; at < page.used; ) {
      const length = page.words[at / 4]!
      if ((length & deadBit) === 0) visit(place * pageUnits + at / unit)
      at += length & ~deadBit
    }
  }

  /** Visits the living records of one page; `visit` may remove what it is given. Gives back the next place, or 0 at the end. */
  visitPage(place: number, visit: (ref: number) => void): number {
    if (this.pages[place] !== undefined) this.refsOf(place, visit)
    return place + 1 < this.pages.length ? place + 1 : 0
  }

  /** What a snapshot copies: each page and how far it is written now. */
  filledPages(): ReadonlyArray<{ readonly page: Page; readonly used: number }> {
    return this.pages.flatMap((page) => (page === undefined || page.used === 0 ? [] : [{ page, used: page.used }]))
  }

  /** Takes over a page of a snapshot that was written with this store's seed. Throws on a form that no page has. `visit`: each living record. */
  adopt(bytes: Buffer, visit: (ref: number) => void): void {
    const page = this.open(pageOver(bytes, bytes.length))
    const place = this.current
    this.usedBytes += page.used
    for (let at = 0; at < page.used; ) {
      const length = page.words[at / 4]! & ~deadBit
      if (length < headBytes || length % unit !== 0 || at + length > page.used) throw new Error("a page of the snapshot is malformed")
      if ((page.words[at / 4]! & deadBit) === 0) {
        const ref = place * pageUnits + at / unit
        page.words[at / 4 + 2] = 0
        page.live += length
        this.liveBytes += length
        this.size++
        this.index.insert(page.words[at / 4 + 1]!, ref)
        visit(ref)
      }
      at += length
    }
    if (page.live === 0) this.dropAdopted(place)
  }

  private dropAdopted(place: number): void {
    this.current = 0
    this.drop(place)
  }
}

const recordBytes = (keyLength: number, valueLength: number): number => Math.ceil((headBytes + keyLength + valueLength) / unit) * unit
