/**
 * One stream of the edge's own HTTP/2 codec.
 *
 * Owns: its flow-control windows both ways, data that waits for the peer's window, its end. Leaves to `Http2Request.ts`: requests and answers; to
 * `Http2Connection.ts`: frames. Built against: a peer that asks for much and takes nothing: what waits is bounded, the origin is paused.
 */
import { Duplex } from "node:stream"
import { ErrorCode, Flag, FrameType, frameHeader, maxWindow, windowFrame } from "./frames.ts"
import type { Http2Connection } from "./Http2Connection.ts"
import type { Http2Request, Http2Stream } from "./Http2Request.ts"
import { streamWindow } from "./settings.ts"

const maxQueued = 64 * 1024

export class OwnStream implements Http2Stream {
  readonly id: number
  /** In `OpenStreams`. */
  place = 0
  request: Http2Request | undefined
  remoteEnded: boolean
  /** When DATA left last, and when the client could send or did; of the clock of `Deadlines`. */
  sentAt: number
  receivedAt: number
  sendWindow: number
  private readonly connection: Http2Connection
  private receiveWindow = streamWindow
  private unacknowledged = 0
  private heldBack = 0
  private paused = false
  private queue: Array<Buffer> = []
  private queued = 0
  /** `write` has asked for a pause. */
  private full = false
  private ending: string | undefined
  private localEnded = false
  private resetAfter = false
  /** Place of the last DATA frame, as long as it may still be the stream's end. */
  private lastData = -1
  private duplex: Duplex | undefined
  private onRoom: (() => void) | undefined
  private onEnded: (() => void) | undefined

  constructor(connection: Http2Connection, id: number, ended: boolean) {
    this.connection = connection
    this.id = id
    this.remoteEnded = ended
    this.sendWindow = connection.peerWindow
    this.sentAt = connection.now
    this.receivedAt = connection.now
  }

  /** The peer is slow in taking what waits for it. */
  get waiting(): boolean {
    return this.queued > 0
  }

  /** The peer owes the rest of a body, and nothing keeps it from sending. */
  get owesBody(): boolean {
    return !this.remoteEnded && !this.paused && this.duplex === undefined
  }

  respond(status: number, lines: string, ended: boolean): void {
    if (this.localEnded) return
    this.connection.writer.putHeaders(this.id, status, lines, ended)
    if (ended) this.endLocal()
  }

  interim(status: number, lines: string): void {
    if (!this.localEnded) this.connection.writer.putHeaders(this.id, status, lines, false)
  }

  write(piece: Buffer): boolean {
    if (this.localEnded) return true
    const sent = this.queued === 0 ? this.send(piece, piece.length) : 0
    if (sent < piece.length) {
      this.queue.push(Buffer.from(sent === 0 ? piece : piece.subarray(sent))) // `piece` is valid in this turn only
      this.queued += piece.length - sent
    }
    this.full = this.queued >= maxQueued || this.connection.writer.blocked
    return !this.full
  }

  end(trailers: string): void {
    if (this.localEnded || this.ending !== undefined) return
    this.ending = trailers
    this.pump(Number.POSITIVE_INFINITY)
  }

  /** Sends of what waits at most `most` bytes; returns how many. */
  pump(most: number): number {
    let total = 0
    while (this.queue.length > 0) {
      const first = this.queue[0]!
      const sent = this.send(first, Math.min(first.length, most - total))
      this.queued -= sent
      total += sent
      if (sent < first.length) {
        if (sent > 0) this.queue[0] = first.subarray(sent)
        return total
      }
      this.queue.shift()
    }
    if (this.ending !== undefined) this.sendEnd(this.ending)
    return total
  }

  /** Sends of the first `end` bytes as much as both windows and the socket allow; returns how much that was. */
  private send(bytes: Buffer, end: number): number {
    const { connection, id } = this
    let at = 0
    while (at < end && !connection.writer.blocked) {
      const room = Math.min(this.sendWindow, connection.sendWindow, connection.peerFrameSize, end - at)
      if (room <= 0) break
      this.sendWindow -= room
      connection.sendWindow -= room
      this.lastData = connection.writer.putData(id, room === bytes.length ? bytes : bytes.subarray(at, at + room))
      at += room
    }
    if (at > 0) {
      this.sentAt = connection.now
      connection.patience.sentAt = connection.now
    }
    return at
  }

  private sendEnd(trailers: string): void {
    if (this.localEnded) return
    const { writer } = this.connection
    if (trailers.length > 0) writer.putHeaders(this.id, 0, trailers, true)
    else if (this.lastData < 0 || !writer.endStreamAt(this.lastData)) writer.put(frameHeader(0, FrameType.Data, Flag.EndStream, this.id))
    this.endLocal()
  }

  private endLocal(): void {
    this.localEnded = true
    if (this.remoteEnded) this.connection.forget(this)
    else if (this.resetAfter) this.reset(0)
    this.onEnded?.()
  }

  /** With code 0, what was written still goes out first, with its END_STREAM. A malformed request is the client's doing and is charged to it. */
  reset(code: number): void {
    this.resetAfter = code === 0
    if (this.resetAfter && !this.localEnded) return
    // In one TLS record with the answer it makes curl 7.88 lose the answer (seen 2026-11).
    if (this.resetAfter || code === ErrorCode.Protocol) this.connection.writer.flush()
    if (code === ErrorCode.Protocol) this.connection.failStream(this.id, code)
    else this.connection.resetStream(this, code)
  }

  charge(): void {
    this.connection.spend("resets")
  }

  /** Called by the connection when the stream is over from its side, and no longer among the open ones. */
  abandoned(why: string): void {
    this.localEnded = true
    this.queue = []
    this.queued = 0
    this.connection.credit(this.heldBack)
    this.heldBack = 0
    this.request?.onReset(why)
    this.duplex?.destroy()
  }

  /** The peer may send that much more. False: the window would overflow. */
  widen(increment: number): boolean {
    this.sendWindow += increment
    if (this.sendWindow > maxWindow) return false
    this.pump(Number.POSITIVE_INFINITY)
    this.roomAgain()
    return true
  }

  /** The window grew or the socket drained: if `write` has asked for a pause, and for as long as there is room, it is over. */
  roomAgain(): void {
    if (!this.full || this.queued >= maxQueued || this.connection.writer.blocked || this.localEnded) return
    this.full = false
    const { onRoom } = this
    this.onRoom = undefined
    if (onRoom !== undefined) onRoom()
    else this.request?.onDrain()
  }

  /** `length` counts padding too. False: the peer overran its window. */
  receive(piece: Buffer, length: number): boolean {
    this.receiveWindow -= length
    if (this.receiveWindow < 0) return false
    this.receivedAt = this.connection.now
    if (piece.length > 0) {
      if (this.duplex !== undefined) {
        if (!this.duplex.push(Buffer.from(piece))) this.paused = true
      } else this.request?.onData(piece)
    }
    this.consumed(length)
    return true
  }

  private consumed(length: number): void {
    const open = this.connection.streams.has(this) // the same frame may have been its end
    if (this.paused && open) {
      this.heldBack += length
      return
    }
    this.connection.credit(length)
    this.unacknowledged += length
    if (this.unacknowledged < streamWindow / 2 || this.remoteEnded || !open) return
    this.receiveWindow += this.unacknowledged
    this.connection.writer.put(windowFrame(this.id, this.unacknowledged))
    this.unacknowledged = 0
  }

  endRemote(trailers: string): void {
    this.remoteEnded = true
    if (this.duplex !== undefined) this.duplex.push(null)
    this.request?.onEnd(trailers)
    if (this.localEnded) this.connection.forget(this)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (this.paused) this.receivedAt = this.connection.now // its time goes on from here
    this.paused = false
    const { heldBack } = this
    this.heldBack = 0
    if (heldBack > 0) this.consumed(heldBack)
  }

  asDuplex(): Duplex {
    this.duplex = new Duplex({
      read: () => this.resume(),
      write: (piece: Buffer, _encoding, done) => {
        if (this.write(piece)) done()
        else this.onRoom = done
      },
      final: (done) => {
        this.onEnded = done // what waits for the window goes out before the tunnel is closed
        this.end("")
      },
      destroy: (error, done) => {
        this.connection.resetStream(this, 8)
        done(error)
      }
    })
    return this.duplex
  }
}
