/**
 * A certificate told by its differences from another one of the same issuer.
 *
 * Owns: the code: runs of new bytes and copies out of the reference, by turns. Leaves to `Issuers.ts`: which reference. Certificates of one CA
 * share names, extensions, URLs and log ids; new are serial, times, key, host name and signatures: 400 bytes of 1,000.
 *
 * Form: (count of new bytes, the bytes, count of copied bytes, their place in the reference)…, counts and places seven bits a byte.
 */
const least = 6
const tableBits = 12
const maxLength = 65_535

/** Where each run of four bytes of a reference stands. */
export class Reference {
  readonly bytes: Buffer
  /** Place and 1, by the hash of four bytes; 0: none. */
  private readonly places = new Uint16Array(1 << tableBits)

  /** `bytes`: at most 65,535. */
  constructor(bytes: Buffer) {
    this.bytes = bytes
    for (let at = Math.min(bytes.length, maxLength) - 4; at >= 0; at--) this.places[hashAt(bytes, at)] = at + 1
  }

  private place(target: Buffer, at: number): number {
    return this.places[hashAt(target, at)]! - 1
  }

  /** `target` told by its differences. */
  encode(target: Buffer): Buffer {
    const { bytes } = this
    const out = new Writer(target.length + 64)
    let fresh = 0
    for (let at = 0; at + 4 <= target.length; ) {
      const place = this.place(target, at)
      let length = 0
      if (place >= 0) while (at + length < target.length && bytes[place + length] === target[at + length]) length++
      if (length < least) {
        at++
        continue
      }
      out.run(target, fresh, at)
      out.count(length)
      out.count(place)
      at += length
      fresh = at
    }
    out.run(target, fresh, target.length)
    return out.taken
  }

  /** The inverse of `encode`. */
  decode(code: Buffer, length: number): Buffer {
    const target = Buffer.allocUnsafe(length)
    let at = 0
    let filled = 0
    const count = (): number => {
      let value = 0
      for (let shift = 0; ; shift += 7) {
        const byte = code[at++]!
        value |= (byte & 127) << shift
        if (byte < 128) return value
      }
    }
    while (at < code.length) {
      const fresh = count()
      code.copy(target, filled, at, at + fresh)
      at += fresh
      filled += fresh
      if (at >= code.length) break
      const copied = count()
      const place = count()
      this.bytes.copy(target, filled, place, place + copied)
      filled += copied
    }
    if (filled !== length) throw new Error("a stored certificate does not have its length")
    return target
  }
}

const hashAt = (bytes: Buffer, at: number): number =>
  Math.imul(bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24), 0x9e37_79b1) >>> (32 - tableBits)

class Writer {
  private buffer: Buffer
  private at = 0

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size)
  }

  get taken(): Buffer {
    return this.buffer.subarray(0, this.at)
  }

  private room(bytes: number): void {
    if (this.at + bytes > this.buffer.length) this.buffer = Buffer.concat([this.taken, Buffer.allocUnsafe(this.buffer.length + bytes)])
  }

  count(value: number): void {
    this.room(5)
    let rest = value
    for (; rest >= 128; rest >>>= 7) this.buffer[this.at++] = (rest & 127) | 128
    this.buffer[this.at++] = rest
  }

  run(source: Buffer, start: number, end: number): void {
    this.count(end - start)
    this.room(end - start)
    this.at += source.copy(this.buffer, this.at, start, end)
  }
}
