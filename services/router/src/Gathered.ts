/**
 * Bytes of a connection that are not enough yet, put behind each other as they come.
 *
 * Owns: that each is copied a few times at most, however small the pieces are. Leaves to its users: how much they hold. Built against: a peer that sends
 * byte by byte, where putting all that is held together anew for each byte costs the square of it. What was handed out is never written over.
 */
const nothing = Buffer.alloc(0)
const leastRoom = 256

export class Gathered {
  /** All that is held. A piece that came to nothing held is itself, uncopied. */
  bytes: Buffer = nothing
  /** Where `bytes` are once a second piece has come, with room behind `end`. */
  private space: Buffer = nothing
  private end = 0

  add(piece: Buffer): void {
    const { length } = this.bytes
    if (length === 0) {
      this.bytes = piece
      return
    }
    const total = length + piece.length
    if (this.space.length === 0 || this.end + piece.length > this.space.length) this.move(total * 2)
    this.space.set(piece, this.end)
    this.end += piece.length
    this.bytes = this.space.subarray(this.end - total, this.end)
  }

  private move(size: number): void {
    this.space = Buffer.allocUnsafe(Math.max(leastRoom, size))
    this.space.set(this.bytes)
    this.end = this.bytes.length
  }

  /** The first `count` bytes are done with. */
  drop(count: number): void {
    this.bytes = count === this.bytes.length ? nothing : this.bytes.subarray(count)
    if (this.bytes.length === 0) this.space = nothing
  }
}
