/**
 * Where the bytes of an origin's connection are read into.
 *
 * Owns: one small buffer that all connections of the process share, larger ones lent to those that carry a long body, and giving these back.
 * Leaves to `OriginConnection.ts`: what the bytes mean. Built against: 64 KiB of fresh memory for every read, which costs more than a small answer
 * does, and bytes that the next read overwrites while somebody still holds them.
 */
import type { Socket } from "node:net"
import { giveLarge, takeLarge } from "../bufferPool.ts"

/** Small answers are copied into one write with their head, so a read is no larger than what is worth copying. */
export const sharedBytes = 32 * 1024

const shared = Buffer.allocUnsafeSlow(sharedBytes)

/** A buffer whose bytes somebody holds beyond the turn that they came in. */
class Loan {
  private holders = 0
  private readonly buffer: Buffer

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  hold(): () => void {
    this.holders++
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.holders === 0) giveLarge(this.buffer)
    }
  }
}

export class OriginInput {
  /** Takes what came; valid during the call. False: no more until the socket is resumed. */
  receive: (bytes: Buffer) => boolean = () => true
  /** The next reads should be large, and their bytes may be held: set while a body comes faster than small reads take it. */
  long = false
  /** For `net.connect` and `tls.connect`. */
  readonly onread = {
    buffer: (): Buffer => this.next(),
    callback: (length: number, buffer: Buffer): boolean => this.receive(buffer.subarray(0, length))
  }
  private buffer: Buffer = shared
  private loan: Loan | undefined
  private onData: ((bytes: Buffer) => void) | undefined

  /** For a socket that could not be opened with `onread`. */
  listen(socket: Socket): void {
    this.onData = (bytes) => {
      if (!this.receive(bytes)) socket.pause()
    }
    socket.on("data", this.onData)
  }

  /** The bytes of this turn stay as they are until the returned function is called; undefined: they don't, copy them. */
  hold(): (() => void) | undefined {
    if (this.buffer === shared) return undefined
    this.loan ??= new Loan(this.buffer)
    return this.loan.hold()
  }

  /** From now on whoever reads the socket as a stream gets the bytes. */
  becomeStream(socket: Socket): void {
    this.long = false
    if (this.onData !== undefined) socket.off("data", this.onData)
    this.receive = (bytes) => socket.push(Buffer.from(bytes))
  }

  /** The buffer of the next read. */
  private next(): Buffer {
    if (this.long) {
      if (this.buffer === shared || this.loan !== undefined) this.buffer = takeLarge()
    } else if (this.buffer !== shared) {
      if (this.loan === undefined) giveLarge(this.buffer)
      this.buffer = shared
    }
    this.loan = undefined
    return this.buffer
  }
}
