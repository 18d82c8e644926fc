/**
 * Pages of a mebibyte that records are appended to, and what is alive in them.
 *
 * Owns: room for a record, its length and whether it is dead, letting empty pages go, and the pages' form, which is the snapshot's form too
 * (`baseFile.ts`). Leaves to `RecordStore.ts`: which record is where. A dead record's bytes are overwritten at once: a sealed key that was removed
 * stands neither in memory nor in the next base (A13).
 *
 * A record is 16 bytes of head (length with the top bit for "dead", hash, mark, key length and tag) and key and value, rounded up to 8 bytes.
 * A reference counts units of 8 bytes over all pages; 0 is none.
 */

export const pageBytes = 1024 * 1024
export const headBytes = 16
const unit = 8
const pageUnits = pageBytes / unit
const pageShift = Math.log2(pageUnits)
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

/** What a record with such a key and value takes. */
export const recordBytes = (keyLength: number, valueLength: number): number =>
  Math.ceil((headBytes + keyLength + valueLength) / unit) * unit

export class Pages {
  /** While a snapshot copies pages or a sweep goes through them, none is let go. */
  pins = 0
  /** The first place stays empty: no record has reference 0. */
  private readonly pages: Array<Page | undefined> = [undefined]
  private readonly freePlaces: Array<number> = []
  private current = 0
  private usedBytes = 0
  private liveBytes = 0

  page(ref: number): Page {
    return this.pages[ref >>> pageShift]!
  }

  /** Where the record begins in its page. */
  start(ref: number): number {
    return (ref & (pageUnits - 1)) * unit
  }

  /** A word of the record's head: 0 length, 1 hash, 2 mark, 3 key length and tag. */
  word(ref: number, at: number): number {
    return this.page(ref).words[(ref & (pageUnits - 1)) * 2 + at]!
  }

  setWord(ref: number, at: number, value: number): void {
    this.page(ref).words[(ref & (pageUnits - 1)) * 2 + at] = value
  }

  /** Room for a record of this many bytes, with its length written. */
  append(length: number): number {
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

  /** The record is dead. */
  bury(ref: number): void {
    const page = this.page(ref)
    const start = this.start(ref)
    const length = this.word(ref, 0)
    page.bytes.fill(0, start + headBytes, start + length)
    this.setWord(ref, 0, (length | deadBit) >>> 0)
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

  /** Bytes of memory, dead records included. */
  get bytes(): number {
    return this.pages.reduce((sum, page) => sum + (page?.bytes.length ?? 0), 0)
  }

  /** Whether enough is dead for `emptiest` to be emptied. */
  get worthEmptying(): boolean {
    return this.pins === 0 && this.usedBytes - this.liveBytes > Math.max(4 * pageBytes, this.usedBytes * worthPart)
  }

  /** The place of the page with the fewest living that is not appended to; 0: none has few. */
  emptiest(): number {
    let place = 0
    let least = emptyBelow
    this.pages.forEach((page, at) => {
      if (page === undefined || at === this.current) return
      const part = page.live / page.used
      if (part < least) [place, least] = [at, part]
    })
    return place
  }

  /** Lets an emptied page go that was pinned when its last record died. */
  dropEmpty(place: number): void {
    if (this.pages[place]?.live === 0) this.drop(place)
  }

  /** Visits the living records of a page; `visit` may bury what it is given. Gives back the next place, or 0 at the end. */
  visit(place: number, visit: (ref: number) => void): number {
    const page = this.pages[place]
    for (let at = 0; page !== undefined && at < page.used; ) {
      const length = page.words[at / 4]!
      if ((length & deadBit) === 0) visit(place * pageUnits + at / unit)
      at += length & ~deadBit
    }
    return place + 1 < this.pages.length ? place + 1 : 0
  }

  /** What a snapshot copies: each page and how far it is written now. */
  filled(): ReadonlyArray<{ readonly page: Page; readonly used: number }> {
    return this.pages.flatMap((page) => (page === undefined || page.used === 0 ? [] : [{ page, used: page.used }]))
  }

  /** Takes over a page of a snapshot. Throws on a form that no page has. `visit`: each living record, its mark set to 0. */
  adopt(bytes: Buffer, visit: (ref: number) => void): void {
    const page = this.open(pageOver(bytes, bytes.length))
    const place = this.current
    this.usedBytes += page.used
    for (let at = 0; at < page.used; ) {
      const length = page.words[at / 4]! & ~deadBit
      if (length < headBytes || length % unit !== 0 || at + length > page.used) throw new Error("a page of the snapshot is malformed")
      if ((page.words[at / 4]! & deadBit) === 0) {
        page.words[at / 4 + 2] = 0
        page.live += length
        this.liveBytes += length
        visit(place * pageUnits + at / unit)
      }
      at += length
    }
    this.current = 0
    this.dropEmpty(place)
  }
}
