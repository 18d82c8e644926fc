/**
 * Where the bytes of an origin's connection are read into.
 *
 * Owns: one small buffer that all connections of the process share, larger ones lent to those that carry a long body, and giving these back.
 * Leaves to `OriginConnection.ts`: what the bytes mean, and how large the next reads should be. Built against: 64 KiB of fresh memory for every
 * read, which costs more than a small answer does; bytes that the next read overwrites while somebody still holds them; and thousands of clients
 * that take nothing, each with more than one buffer (E8).
 */
import type { Socket } from "node:net"
import { giveBack, type largeBytes, type mediumBytes, takeBuffer } from "../bufferPool.ts"

/** Small answers are copied into one write with their head, so a read is no larger than what is worth copying. */
export const sharedBytes = 32 * 1024

const shared = Buffer.allocUnsafeSlow(sharedBytes)

/** A buffer whose bytes somebody holds beyond the turn that they came in. */
class Loan {
  private holders = 0
  readonly buffer: Buffer
  private readonly lender: OriginInput
  constructor(buffer: Buffer, lender: OriginInput) {
    this.buffer = buffer
    this.lender = lender
  }
  hold(): () => void {
    this.holders++
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.holders === 0) this.lender.returned(this)
    }
  }
}

export class OriginInput {
  /** Takes what came, the first `length` bytes; valid during the call. False: no more until the socket is resumed. */
  receive: (bytes: Buffer, length: number) => boolean = () => true
  /** How large the next reads should be, and their bytes may be held then: set while a body comes faster than small reads take it. */
  long: 0 | typeof mediumBytes | typeof largeBytes = 0
  /** Nothing is read before `resume`, so a buffer that is lent needs no other beside it. */
  paused = false
  /** For `net.connect` and `tls.connect`. */
  readonly onread = {
    buffer: (): Buffer => this.next(),
    callback: (length: number, buffer: Buffer): boolean => {
      this.paused = !this.receive(buffer, length)
      return !this.paused
    }
  }
  private buffer: Buffer = shared
  private loan: Loan | undefined
  private waiting: Socket | undefined
  private onData: ((bytes: Buffer) => void) | undefined

  /** For a socket that could not be opened with `onread`. */
  listen(socket: Socket): void {
    this.onData = (bytes) => {
      this.paused = !this.receive(bytes, bytes.length)
      if (this.paused) socket.pause()
    }
    socket.on("data", this.onData)
  }

  /** The bytes of this turn stay as they are until the returned function is called; undefined: they don't, copy them. */
  hold(): (() => void) | undefined {
    if (this.buffer === shared) return undefined
    this.loan ??= new Loan(this.buffer, this)
    return this.loan.hold()
  }

  /** At once, or when the buffer that the next read goes into is nobody else's any more. */
  resume(socket: Socket): void {
    if (this.paused && this.loan !== undefined) {
      this.waiting = socket
      return
    }
    this.paused = false
    socket.resume()
  }

  /** Nobody holds it any more. */
  returned(loan: Loan): void {
    if (this.loan !== loan) {
      giveBack(loan.buffer)
      return
    }
    this.loan = undefined
    const { waiting } = this
    this.waiting = undefined
    if (waiting !== undefined) this.resume(waiting)
  }

  /** From now on whoever reads the socket as a stream gets the bytes. */
  becomeStream(socket: Socket): void {
    this.long = 0
    if (this.onData !== undefined) socket.off("data", this.onData)
    this.receive = (bytes, length) => socket.push(Buffer.from(bytes.subarray(0, length)))
  }

  /** The buffer of the next read: the same one if nobody holds it, or will not by then. */
  private next(): Buffer {
    const { buffer, loan, long } = this
    if (buffer.length === long && (loan === undefined || this.paused)) return buffer
    if (buffer !== shared && loan === undefined) giveBack(buffer)
    this.loan = undefined
    this.buffer = long === 0 ? shared : takeBuffer(long)
    return this.buffer
  }
}
