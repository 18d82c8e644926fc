/**
 * What a client sends on one stream: a request's body, or its side of a tunnel.
 *
 * Owns: the stream's receive window; holding back what its reader does not want yet, and the end behind it. Leaves to `OwnStream.ts`: who reads.
 * Built against: a slow reader, to whom a client sends byte by byte: what is held back takes as much memory as it has bytes.
 */
import { Gathered } from "../Gathered.ts"
import { windowFrame } from "./frames.ts"
import type { Http2Connection } from "./Http2Connection.ts"
import type { OwnStream } from "./OwnStream.ts"
import { streamWindow } from "./settings.ts"

export class Intake {
  /** When the client sent, or could again; of the clock of `Deadlines`. */
  receivedAt: number
  paused = false
  private readonly connection: Http2Connection
  private readonly stream: OwnStream
  private left = streamWindow
  private unacknowledged = 0
  private held: Gathered | undefined
  /** Of the window, padding too: what is held, and what the reader took when it asked for a pause. */
  private heldBack = 0
  private end: string | undefined

  constructor(connection: Http2Connection, stream: OwnStream) {
    this.connection = connection
    this.stream = stream
    this.receivedAt = connection.now
  }

  /** `length` counts padding too. False: the client overran its window. */
  receive(piece: Buffer, length: number): boolean {
    this.left -= length
    if (this.left < 0) return false
    this.receivedAt = this.connection.now
    if (piece.length > 0) {
      if (this.paused) this.hold(piece)
      else this.stream.deliver(piece)
    }
    this.consumed(length)
    return true
  }

  private hold(piece: Buffer): void {
    const first = this.held === undefined
    this.held ??= new Gathered()
    this.held.add(first ? Buffer.from(piece) : piece) // uncopied it would keep all that came with it
  }

  private consumed(length: number): void {
    const open = this.connection.streams.has(this.stream) // the same frame may have been its end
    if (this.paused && open) {
      this.heldBack += length
      return
    }
    this.connection.credit(length)
    this.unacknowledged += length
    if (this.unacknowledged < streamWindow / 2 || this.stream.remoteEnded || !open) return
    this.left += this.unacknowledged
    this.connection.writer.put(windowFrame(this.stream.id, this.unacknowledged))
    this.unacknowledged = 0
  }

  /** The client has sent everything. */
  finish(trailers: string): void {
    if (this.held === undefined) this.stream.deliverEnd(trailers)
    else this.end = trailers
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.receivedAt = this.connection.now // its time goes on from here
    const { held, heldBack, end } = this
    this.letGo()
    if (held !== undefined) this.stream.deliver(held.bytes)
    if (heldBack > 0) this.consumed(heldBack)
    if (end !== undefined) this.stream.deliverEnd(end)
  }

  /** Nobody wants what is held. Returns how much of the connection's window that was. */
  letGo(): number {
    const { heldBack } = this
    this.held = undefined
    this.heldBack = 0
    this.end = undefined
    return heldBack
  }
}
