/**
 * One stream of the edge's own HTTP/2 codec.
 *
 * Owns: data that waits for the peer's window, its end. Leaves to `Intake.ts`: what the peer sends; to `Http2Request.ts`: requests and answers; to
 * `Http2Connection.ts`: frames. Built against: a peer that asks for much and takes nothing: what waits is bounded, the origin is paused.
 */
import { Duplex } from "node:stream"
import type { OriginExchange } from "../exchange/Exchange.ts"
import { ErrorCode, Flag, FrameType, frameHeader, frameSize, maxWindow } from "./frames.ts"
import type { Http2Connection } from "./Http2Connection.ts"
import type { Http2Request } from "./Http2Request.ts"
import { type AnswerHead, bareHead, type Http2Stream } from "./Http2Stream.ts"
import { Intake } from "./Intake.ts"
import { Progress } from "./Progress.ts"

const maxQueued = 64 * 1024
/** What is smaller is copied: held, it would keep a buffer many times its size. */
const worthHolding = 16 * 1024

export class OwnStream implements Http2Stream {
  readonly id: number
  place = 0 // in `OpenStreams`
  request: Http2Request | undefined
  remoteEnded: boolean
  sendWindow: number
  private readonly connection: Http2Connection
  /** Absent when the request came whole. */
  private readonly intake: Intake | undefined
  private queue: Array<{ bytes: Buffer; readonly release: (() => void) | undefined }> = []
  private queued = 0
  /** Since something waits for the peer's window. */
  private sent: Progress | undefined
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
    this.intake = ended ? undefined : new Intake(connection, this)
  }

  /** The peer is slow in taking what waits for it. */
  get waiting(): boolean {
    return this.queued > 0
  }

  /** When DATA left last since something waits. */
  get sentAt(): number {
    return this.sent?.at ?? 0
  }

  /** The peer owes the rest of a body, and nothing keeps it from sending. */
  get owesBody(): boolean {
    return !this.remoteEnded && this.intake?.paused === false && this.duplex === undefined
  }

  get receivedAt(): number {
    return this.intake?.receivedAt ?? 0
  }

  respond(head: AnswerHead, lines: string, ended: boolean): void {
    if (this.localEnded) return
    this.connection.writer.putHeaders(this.id, head, lines, ended)
    if (ended) this.endLocal()
  }

  write(bytes: Buffer, start: number, end: number, source?: Pick<OriginExchange, "hold">): boolean {
    if (this.localEnded) return true
    const sent = this.queued === 0 ? this.send(bytes, start, end) : start
    if (sent < end) {
      const rest = bytes.subarray(sent, end)
      const release = rest.length < worthHolding ? undefined : source?.hold()
      this.queue.push({ bytes: release === undefined ? Buffer.from(rest) : rest, release }) // they are valid in this turn only
      if (this.queued === 0) this.sent = new Progress(this.connection.now)
      this.queued += rest.length
    }
    this.full = this.queued >= maxQueued || this.connection.writer.blocked
    return !this.full
  }

  end(trailers: string): boolean {
    if (!this.localEnded && this.ending === undefined) {
      this.ending = trailers
      this.pump(Number.POSITIVE_INFINITY)
    }
    return this.localEnded
  }

  /** Sends of what waits at most `most` bytes; returns how many. */
  pump(most: number): number {
    let total = 0
    while (this.queue.length > 0) {
      const first = this.queue[0]!
      const sent = this.send(first.bytes, 0, Math.min(first.bytes.length, most - total))
      this.queued -= sent
      total += sent
      if (sent < first.bytes.length) {
        first.bytes = first.bytes.subarray(sent)
        return total
      }
      this.queue.shift()
      first.release?.()
    }
    if (this.ending !== undefined) this.sendEnd(this.ending)
    return total
  }

  /** Sends of `bytes` from `start` to `end` as much as both windows and the socket allow; returns where the rest begins. */
  private send(bytes: Buffer, start: number, end: number): number {
    const { connection, id } = this
    let at = start
    while (at < end && !connection.writer.blocked) {
      const room = Math.min(this.sendWindow, connection.sendWindow, frameSize, end - at)
      if (room <= 0) break
      this.sendWindow -= room
      connection.sendWindow -= room
      this.lastData = connection.writer.putData(id, bytes, at, at + room)
      at += room
    }
    this.sent?.moved(at - start, connection.now)
    connection.patience.sent.moved(at - start, connection.now)
    return at
  }

  private sendEnd(trailers: string): void {
    if (this.localEnded) return
    const { writer } = this.connection
    if (trailers.length > 0) writer.putHeaders(this.id, bareHead(0), trailers, true)
    else if (this.lastData < 0 || !writer.endStreamAt(this.lastData)) writer.put(frameHeader(0, FrameType.Data, Flag.EndStream, this.id))
    this.endLocal()
  }

  private endLocal(): void {
    this.localEnded = true
    this.request?.onSent()
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
    for (const { release } of this.queue) release?.()
    this.queue = []
    this.queued = 0
    this.letGo()
    this.request?.onReset(why)
    this.duplex?.destroy()
  }

  /** Nothing that is held back is wanted any more. */
  letGo(): void {
    this.connection.credit(this.intake?.letGo() ?? 0)
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

  /** As `Intake.receive`. */
  receive(piece: Buffer, length: number): boolean {
    return this.intake?.receive(piece, length) ?? true
  }

  /** `piece` is valid in this turn only. */
  deliver(piece: Buffer): void {
    if (this.duplex === undefined) this.request?.onData(piece)
    else if (!this.duplex.push(Buffer.from(piece))) this.pause()
  }

  endRemote(trailers: string): void {
    this.remoteEnded = true
    this.intake?.finish(trailers)
    if (this.localEnded) this.connection.forget(this)
  }

  deliverEnd(trailers: string): void {
    this.duplex?.push(null)
    this.request?.onEnd(trailers)
  }

  pause(): void {
    if (this.intake !== undefined) this.intake.paused = true
  }

  resume(): void {
    this.intake?.resume()
  }

  asDuplex(): Duplex {
    this.pause() // until somebody reads
    this.duplex = new Duplex({
      read: () => this.resume(),
      write: (piece: Buffer, _encoding, done) => {
        if (this.write(piece, 0, piece.length)) done()
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
    if (this.remoteEnded) this.duplex.push(null)
    return this.duplex
  }
}
