/**
 * One HTTP/2 connection of a client, by the edge's own codec (RFC 9113, RFC 8441).
 *
 * Owns: the protocol's state, errors, going away. Leaves to `messageFrames.ts` and `controlFrames.ts`: what frames do; to `OwnStream.ts`: one stream;
 * to `Patience.ts`: who is too slow. Built against (E9): rapid reset and its relative that makes the server reset, CONTINUATION, PING, SETTINGS and
 * empty-frame floods, window overflow (whoever overdoes it gets GOAWAY), and clients that ask and don't read.
 */
import type { Socket } from "node:net"
import type { ClientPeer, Edge } from "../client/Edge.ts"
import { closeAtOnce } from "../client/Linger.ts"
import type { Watched } from "../Deadlines.ts"
import { Budget } from "./Budget.ts"
import { CutOff } from "./CutOff.ts"
import { onControlFrame } from "./controlFrames.ts"
import { FrameReader, type FrameSink } from "./FrameReader.ts"
import { ErrorCode, errorName, FrameType, goawayFrame, maxStreamId, pingFrame, resetFrame, settingsFrame, windowFrame } from "./frames.ts"
import { HeaderBlocks } from "./HeaderBlocks.ts"
import { onBlock, onData } from "./messageFrames.ts"
import { OpenStreams } from "./OpenStreams.ts"
import type { OwnStream } from "./OwnStream.ts"
import { Patience } from "./Patience.ts"
import { ReceiveWindow } from "./ReceiveWindow.ts"
import { RequestHeads } from "./RequestHeads.ts"
import { firstTable, offered } from "./settings.ts"
import { Turns } from "./Turns.ts"
import { TurnWriter } from "./TurnWriter.ts"

const [connectionWindow, firstWindow] = [1024 * 1024, 65_535]
const [lookMillis, closingMillis] = [1000, 1000]
/** With so much written that the client has not taken, nothing more is read from it: answers without a body have no window that would bound them. */
const maxUnread = 1024 * 1024

export class Http2Connection implements Watched, FrameSink {
  deadline = 0
  place = 0
  readonly writer: TurnWriter
  /** What the peer offered. */
  peerWindow = firstWindow
  peerTable = firstTable
  sendWindow = firstWindow
  readonly edge: Edge
  readonly peer: ClientPeer
  private readonly socket: Socket
  readonly reader = new FrameReader()
  readonly heads = new RequestHeads(firstTable)
  readonly streams = new OpenStreams()
  lastStream = 0
  /** The client's settings have come. */
  settled = false
  readonly patience: Patience
  readonly window = new ReceiveWindow(connectionWindow)
  readonly turns = new Turns()
  /** Until when the client's settings, or the rest of a header block, must have come; and until when nothing may be asked. */
  private headUntil: number
  private idleUntil: number
  /** When the last GOAWAY follows the first; 0: none was sent. */
  private farewellAt = 0
  /** The last stream by the GOAWAY before, beyond which the next one must not go (§6.8). */
  private lastPromised = maxStreamId
  private readonly blocks = new HeaderBlocks()
  readonly cutOff = new CutOff()
  goingAway = false
  closed = false
  /** What costs the client little and the edge more; sizes are generous (see `Budget.ts`). */
  private readonly budgets = { resets: new Budget(500, 50), controls: new Budget(200, 20), updates: new Budget(20_000, 10_000) }

  constructor(edge: Edge, socket: Socket, peer: ClientPeer) {
    this.edge = edge
    this.socket = socket
    this.peer = peer
    this.writer = new TurnWriter(socket)
    this.patience = new Patience(socket, edge.limits, this.window)
    this.headUntil = this.now + edge.limits.headMillis
    this.idleUntil = this.headUntil
    this.deadline = this.headUntil
    edge.deadlines.watch(this)
    this.writer.put(settingsFrame(offered) + windowFrame(0, connectionWindow - firstWindow))
    socket.on("data", (segment: Buffer) => this.onSegment(segment))
    socket.on("drain", () => this.onDrain())
    socket.on("finish", () => {
      this.deadline = this.now + closingMillis
    })
    for (const event of ["end", "error", "close"]) socket.on(event, () => this.destroy())
  }

  get now(): number {
    return this.edge.deadlines.now
  }

  private onSegment(segment: Buffer): void {
    if (this.closed) return
    this.reader.read(segment, this)
    if (this.socket.writableLength <= maxUnread) return
    this.socket.pause()
    this.lookSoon()
  }

  onBroken(what: "preface" | "frame-size"): void {
    this.giveUp(what === "preface" ? ErrorCode.Protocol : ErrorCode.FrameSize)
  }

  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): boolean {
    const { stream: begun } = this.blocks
    if (begun !== 0 && (type !== FrameType.Continuation || stream !== begun)) return this.giveUp(ErrorCode.Protocol)
    if (!this.settled && type !== FrameType.Settings) return this.giveUp(ErrorCode.Protocol)
    if (type === FrameType.Data) return onData(this, flags, stream, bytes, start, end)
    if (type === FrameType.Headers) {
      this.headUntil = this.now + this.edge.limits.headMillis
      this.lookSoon()
      return onBlock(this, this.blocks.begin(flags, stream, bytes, start, end))
    }
    const payload = bytes.subarray(start, end)
    if (type === FrameType.Continuation) return onBlock(this, this.blocks.continue(flags, payload))
    return onControlFrame(this, type, flags, stream, payload)
  }

  /** False, and GOAWAY: too often of this kind. */
  spend(kind: "resets" | "controls" | "updates"): boolean {
    return this.budgets[kind].spend(this.now) || this.giveUp(ErrorCode.EnhanceYourCalm)
  }

  private onDrain(): void {
    this.writer.blocked = false
    if (this.socket.isPaused()) this.socket.resume()
    this.turns.serve(this.streams.list())
  }

  /** The edge is done with these bytes: the peer may send as many again. */
  credit(length: number): void {
    const increment = this.window.done(length, this.now)
    if (increment > 0 && !this.closed) this.writer.put(windowFrame(0, increment))
  }

  /** A stream error: the stream ends, the connection goes on, unless it happens too often (also when the client provokes it). */
  failStream(id: number, code: number): boolean {
    const stream = this.streams.find(id)
    if (stream === undefined) this.writer.put(resetFrame(id, code))
    else this.resetStream(stream, code)
    return this.spend("resets")
  }

  /** `why`: for the record of its request, if that is not over. */
  resetStream(stream: OwnStream, code: number, why = "client-gone"): void {
    if (!this.streams.has(stream)) return
    this.cutOff.reset(this.writer, stream.id, code, stream.remoteEnded)
    this.abandon(stream, why)
  }

  /** Without a word: the client reset it itself, which is not answered by a reset (§5.4.2). */
  abandon(stream: OwnStream, why: string): void {
    if (!this.streams.remove(stream)) return
    stream.abandoned(why)
    this.afterStream()
  }

  /** The stream ended on both sides. */
  forget(stream: OwnStream): void {
    if (!this.streams.remove(stream)) return
    stream.letGo()
    this.afterStream()
  }

  private afterStream(): void {
    if (this.streams.size > 0) return
    this.idleUntil = this.now + this.edge.limits.idleMillis
    this.closeWhenDone()
  }

  /** The client is going away. */
  leave(): true {
    this.goingAway = true
    return this.closeWhenDone()
  }

  private closeWhenDone(): true {
    if (!this.goingAway || this.streams.size > 0 || this.closed) return true
    this.lookSoon()
    this.writer.flush()
    this.socket.end()
    return true
  }

  /** GOAWAY without an error (§6.8): the first one only warns, so that what is on its way is served; a round trip later none should be. */
  drain(): void {
    if (this.goingAway || this.closed || this.farewellAt > 0) return
    this.writer.put(goawayFrame(maxStreamId, ErrorCode.NoError) + pingFrame("farewell"))
    this.farewellAt = this.now + closingMillis
    this.lookSoon()
  }

  /** The round trip is over: streams that run finish, new ones are refused and may be repeated elsewhere. */
  farewell(): void {
    if (this.farewellAt === 0 || this.goingAway || this.closed) return
    this.lastPromised = this.lastStream
    this.writer.put(goawayFrame(this.lastPromised, ErrorCode.NoError))
    this.leave()
  }

  /** A connection error (§5.4.1). */
  giveUp(code: number): false {
    if (this.closed) return false
    this.edge.observer.http2Failed(errorName(code))
    this.writer.put(goawayFrame(Math.min(this.lastStream, this.lastPromised), code))
    this.writer.flush()
    this.socket.end()
    const { socket } = this
    setTimeout(() => socket.destroy(), closingMillis).unref()
    this.release("client-gone")
    return false
  }

  onDeadline(): void {
    const { now, patience } = this
    const unfinished = this.blocks.stream !== 0 || !this.settled
    if (unfinished && now >= this.headUntil) return void this.giveUp(ErrorCode.EnhanceYourCalm)
    if (patience.tookNothing(now)) {
      this.edge.observer.http2Failed(errorName(ErrorCode.EnhanceYourCalm))
      return void this.destroy("client-too-slow")
    }
    for (const stream of this.streams.list()) {
      const why = patience.inVain(stream, now)
      if (why !== undefined) this.resetStream(stream, ErrorCode.Cancel, why)
    }
    if (now >= this.farewellAt) this.farewell()
    const idle = this.streams.size === 0 && !unfinished && !patience.unsent
    if (idle && this.goingAway) return void this.destroy()
    if (idle && now >= this.idleUntil) this.drain()
    this.deadline = idle && now < this.idleUntil ? this.idleUntil : now + lookMillis
  }

  /** Within a second, whatever else is waited for. */
  private lookSoon(): void {
    const soon = this.now + lookMillis
    if (this.deadline > soon || this.deadline === 0) this.deadline = soon
  }

  private release(why: string): void {
    this.closed = true
    this.edge.deadlines.forget(this)
    const streams = this.streams.list()
    this.streams.clear()
    for (const stream of streams) stream.abandoned(why)
  }

  destroy(why = "client-gone"): void {
    if (this.closed) return
    this.release(why)
    closeAtOnce(this.socket)
  }
}
