/**
 * One HTTP/2 connection of a client, by the edge's own codec (RFC 9113, RFC 8441).
 *
 * Owns: the protocol's state: settings, streams, windows, errors, going away. Leaves to `FrameReader.ts`: boundaries; to `OwnStream.ts`: one
 * stream; to `Http2Request.ts`: requests. Built against (E9): rapid reset and its relative that makes the server reset, CONTINUATION, PING,
 * SETTINGS and empty-frame floods, window overflow and zero windows. Whoever overdoes it gets GOAWAY.
 */
import type { Socket } from "node:net"
import type { ClientPeer, Edge } from "../client/Edge.ts"
import type { Watched } from "../Deadlines.ts"
import { maxFieldLines, maxHeadBytes } from "../http1/fields.ts"
import { Budget } from "./Budget.ts"
import { CutOff } from "./CutOff.ts"
import { onControlFrame } from "./controlFrames.ts"
import { FrameReader, type FrameSink } from "./FrameReader.ts"
import { ErrorCode, Flag, FrameType, goawayFrame, resetFrame, settingsFrame, windowFrame } from "./frames.ts"
import { type HeaderBlock, HeaderBlocks, unpad } from "./HeaderBlocks.ts"
import { Http2Request } from "./Http2Request.ts"
import { HpackDecoder } from "./hpack/HpackDecoder.ts"
import { OpenStreams } from "./OpenStreams.ts"
import { OwnStream } from "./OwnStream.ts"
import { readHttp2Trailers } from "./readFields.ts"
import { firstTable, maxStreams, offered } from "./settings.ts"
import { TurnWriter } from "./TurnWriter.ts"

const connectionWindow = 1024 * 1024
const firstWindow = 65_535
const lookMillis = 1000
const closingMillis = 1000

export class Http2Connection implements Watched, FrameSink {
  deadline = 0
  place = 0
  readonly writer: TurnWriter
  /** What the peer offered. */
  peerWindow = firstWindow
  peerFrameSize = 16_384
  peerTable = firstTable
  sendWindow = firstWindow
  private readonly edge: Edge
  private readonly socket: Socket
  private readonly peer: ClientPeer
  private readonly reader = new FrameReader()
  private readonly decoder = new HpackDecoder(firstTable)
  readonly streams = new OpenStreams()
  lastStream = 0
  /** The client's settings have come. */
  settled = false
  private receiveWindow = connectionWindow
  private unacknowledged = 0
  private readonly blocks = new HeaderBlocks()
  private readonly cutOff = new CutOff()
  private goingAway = false
  private closed = false
  /** What costs the client little and the edge more; sizes are generous (see `Budget.ts`). */
  private readonly budgets = { resets: new Budget(500, 50), controls: new Budget(200, 20), updates: new Budget(20_000, 10_000) }

  constructor(edge: Edge, socket: Socket, peer: ClientPeer) {
    this.edge = edge
    this.socket = socket
    this.peer = peer
    this.writer = new TurnWriter(socket)
    this.deadline = edge.deadlines.now + edge.limits.headMillis
    edge.deadlines.watch(this)
    this.writer.put(settingsFrame(offered) + windowFrame(0, connectionWindow - firstWindow))
    socket.setNoDelay(true)
    socket.on("data", (segment: Buffer) => this.closed || this.reader.read(segment, this))
    socket.on("drain", () => this.onDrain())
    for (const event of ["end", "error", "close"]) socket.on(event, () => this.destroy())
  }

  get now(): number {
    return this.edge.deadlines.now
  }

  onBroken(what: "preface" | "frame-size"): void {
    this.giveUp(what === "preface" ? ErrorCode.Protocol : ErrorCode.FrameSize)
  }

  onFrame(type: number, flags: number, stream: number, payload: Buffer): boolean {
    const { blocks } = this
    if (blocks.stream !== 0 && (type !== FrameType.Continuation || stream !== blocks.stream)) return this.giveUp(ErrorCode.Protocol)
    if (!this.settled && type !== FrameType.Settings) return this.giveUp(ErrorCode.Protocol)
    if (type === FrameType.Data) return this.onData(flags, stream, payload)
    if (type === FrameType.Headers) return this.onBlock(blocks.begin(flags, stream, payload))
    if (type === FrameType.Continuation) return this.onBlock(blocks.continue(flags, payload))
    return onControlFrame(this, type, flags, stream, payload)
  }

  /** False, and GOAWAY: too often of this kind. */
  spend(kind: "resets" | "controls" | "updates"): boolean {
    return this.budgets[kind].spend(this.now) || this.giveUp(ErrorCode.EnhanceYourCalm)
  }

  private onData(flags: number, id: number, payload: Buffer): boolean {
    const data = id === 0 || id > this.lastStream ? undefined : unpad(flags, payload)
    if (data === undefined) return this.giveUp(ErrorCode.Protocol)
    this.receiveWindow -= payload.length
    if (this.receiveWindow < 0) return this.giveUp(ErrorCode.FlowControl)
    const stream = this.streams.find(id)
    if (stream === undefined || stream.remoteEnded) {
      this.credit(payload.length)
      // Frames that were under way when the edge reset the stream (§5.1); a peer that goes on and on is spent. On any other: §6.1.
      return this.cutOff.has(id) ? this.spend("resets") : this.failStream(id, ErrorCode.StreamClosed)
    }
    const ended = (flags & Flag.EndStream) !== 0
    if (data.length === 0 && !ended && !this.spend("controls")) return false
    if (!stream.receive(data, payload.length)) return this.failStream(id, ErrorCode.FlowControl)
    if (ended) stream.endRemote("")
    return !this.closed
  }

  private onBlock(block: HeaderBlock | number | undefined): boolean {
    if (block === undefined) this.deadline = this.now + this.edge.limits.headMillis
    if (typeof block !== "object") return block === undefined || this.giveUp(block)
    const { stream: id, ended } = block
    const list = this.decoder.decode(block.bytes, maxHeadBytes, maxFieldLines)
    if (list === undefined) return this.giveUp(ErrorCode.Compression)
    const known = id > this.lastStream ? undefined : this.streams.find(id)
    if (known !== undefined) return this.onTrailers(known, list.tooLarge ? undefined : list.fields, ended)
    if (id <= this.lastStream) return this.cutOff.has(id) ? this.spend("resets") : this.giveUp(ErrorCode.StreamClosed)
    this.lastStream = id
    if (this.goingAway || this.streams.size >= maxStreams) {
      this.cutOff.reset(this.writer, id, ErrorCode.RefusedStream, ended)
      return this.spend("resets")
    }
    const stream = new OwnStream(this, id, ended)
    this.streams.add(stream)
    if (this.deadline === 0 || this.streams.size === 1) this.deadline = this.now + lookMillis
    if (list.tooLarge) {
      stream.respond(431, "content-length: 0\r\n", true)
      stream.reset(ErrorCode.NoError)
      return this.spend("resets")
    }
    const request = new Http2Request(this.edge, this.peer, stream, ended)
    stream.request = request
    request.start(list.fields)
    return !this.closed
  }

  private onTrailers(stream: OwnStream, fields: ReadonlyArray<string> | undefined, ended: boolean): boolean {
    if (stream.remoteEnded) return this.failStream(stream.id, ErrorCode.StreamClosed)
    const kept = fields === undefined || !ended ? undefined : readHttp2Trailers(fields)
    if (kept === undefined) return this.failStream(stream.id, ErrorCode.Protocol) // §8.1: malformed
    stream.endRemote(kept)
    return true
  }

  private onDrain(): void {
    this.writer.blocked = false
    for (const stream of this.streams.list()) stream.roomAgain()
  }

  /** The edge is done with these bytes: the peer may send as many again. */
  credit(length: number): void {
    this.unacknowledged += length
    if (this.unacknowledged < connectionWindow / 2 || this.closed) return
    this.receiveWindow += this.unacknowledged
    this.writer.put(windowFrame(0, this.unacknowledged))
    this.unacknowledged = 0
  }

  /** A stream error: the stream ends, the connection goes on, unless it happens too often (also when the client provokes it). */
  failStream(id: number, code: number): boolean {
    const stream = this.streams.find(id)
    if (stream === undefined) this.writer.put(resetFrame(id, code))
    else this.resetStream(stream, code)
    return this.spend("resets")
  }

  resetStream(stream: OwnStream, code: number): void {
    if (!this.streams.remove(stream)) return
    this.cutOff.reset(this.writer, stream.id, code, stream.remoteEnded)
    stream.abandoned()
    this.afterStream()
  }

  /** The stream ended on both sides. */
  forget(stream: OwnStream): void {
    if (this.streams.remove(stream)) this.afterStream()
  }

  private afterStream(): void {
    if (this.streams.size > 0) return
    this.deadline = this.now + this.edge.limits.idleMillis
    this.closeWhenDone()
  }

  /** The client is going away. */
  leave(): true {
    this.goingAway = true
    return this.closeWhenDone()
  }

  private closeWhenDone(): true {
    if (!this.goingAway || this.streams.size > 0 || this.closed) return true
    this.deadline = this.now + closingMillis
    this.writer.flush()
    this.socket.end()
    return true
  }

  /** GOAWAY without an error: streams that run finish, new ones are refused and may be repeated elsewhere (§6.8). */
  drain(): void {
    if (this.goingAway || this.closed) return
    this.writer.put(goawayFrame(this.lastStream, ErrorCode.NoError))
    this.leave()
  }

  /** A connection error (§5.4.1). */
  giveUp(code: number): false {
    if (this.closed) return false
    this.writer.put(goawayFrame(this.lastStream, code))
    this.writer.flush()
    this.socket.end()
    const { socket } = this
    setTimeout(() => socket.destroy(), closingMillis).unref()
    this.release()
    return false
  }

  onDeadline(): void {
    if (this.blocks.stream !== 0 || !this.settled) {
      this.giveUp(ErrorCode.EnhanceYourCalm)
      return
    }
    if (this.streams.size === 0) return void (this.goingAway ? this.destroy() : this.drain())
    const { bodyMillis, drainMillis } = this.edge.limits
    for (const stream of this.streams.list()) {
      const limit = stream.waiting ? drainMillis : stream.stalled ? bodyMillis : Number.POSITIVE_INFINITY
      if (this.now - stream.movedAt > limit) this.resetStream(stream, ErrorCode.Cancel)
    }
    this.deadline = this.now + lookMillis
  }

  private release(): void {
    this.closed = true
    this.edge.deadlines.forget(this)
    const streams = this.streams.list()
    this.streams.clear()
    for (const stream of streams) stream.abandoned()
  }

  destroy(): void {
    if (this.closed) return
    this.release()
    this.socket.destroy()
  }
}
