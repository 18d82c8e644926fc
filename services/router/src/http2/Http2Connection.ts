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
import { readTrailers } from "../http1/trailers.ts"
import { Budget } from "./Budget.ts"
import { FrameReader, type FrameSink } from "./FrameReader.ts"
import {
  ErrorCode,
  Flag,
  FrameType,
  frameHeader,
  goawayFrame,
  headerFrames,
  maxWindow,
  resetFrame,
  Setting,
  settingsFrame,
  windowFrame
} from "./frames.ts"
import { Http2Request } from "./Http2Request.ts"
import { encodeFields } from "./hpack/encodeFields.ts"
import { HpackDecoder } from "./hpack/HpackDecoder.ts"
import { OwnStream, streamWindow } from "./OwnStream.ts"
import { applySettings } from "./settings.ts"
import { TurnWriter } from "./TurnWriter.ts"

const maxStreams = 128
const connectionWindow = 1024 * 1024
const firstWindow = 65_535
const tableSize = 4096
const maxContinuations = 16
const lookMillis = 1000
const closingMillis = 1000

interface Unfinished {
  readonly stream: number
  readonly ended: boolean
  readonly pieces: Array<Buffer>
  length: number
}

export class Http2Connection implements Watched, FrameSink {
  deadline = 0
  readonly writer: TurnWriter
  /** What the peer offered. */
  peerWindow = firstWindow
  peerFrameSize = 16_384
  sendWindow = firstWindow
  private readonly edge: Edge
  private readonly socket: Socket
  private readonly peer: ClientPeer
  private readonly reader = new FrameReader()
  private readonly decoder = new HpackDecoder(tableSize)
  private readonly streams = new Map<number, OwnStream>()
  private lastStream = 0
  private receiveWindow = connectionWindow
  private unacknowledged = 0
  private unfinished: Unfinished | undefined
  private settled = false
  private goingAway = false
  private closed = false
  private readonly resets = new Budget(500, 50)
  private readonly controls = new Budget(200, 20)
  private readonly updates = new Budget(20_000, 10_000)

  constructor(edge: Edge, socket: Socket, peer: ClientPeer) {
    this.edge = edge
    this.socket = socket
    this.peer = peer
    this.writer = new TurnWriter(socket)
    this.deadline = edge.deadlines.now + edge.limits.headMillis
    edge.deadlines.watch(this)
    const offered = [
      ...([
        [Setting.MaxConcurrentStreams, maxStreams],
        [Setting.InitialWindowSize, streamWindow]
      ] as const),
      ...([
        [Setting.MaxHeaderListSize, maxHeadBytes],
        [Setting.EnableConnectProtocol, 1]
      ] as const)
    ]
    this.writer.put(settingsFrame(offered) + windowFrame(0, connectionWindow - firstWindow))
    socket.setNoDelay(true)
    socket.on("data", (segment: Buffer) => this.closed || this.reader.read(segment, this))
    socket.on("drain", () => this.onDrain())
    socket.on("end", () => this.destroy())
    socket.on("error", () => this.destroy())
    socket.on("close", () => this.destroy())
  }

  get now(): number {
    return this.edge.deadlines.now
  }

  get open(): number {
    return this.streams.size
  }

  onBroken(what: "preface" | "frame-size"): void {
    this.giveUp(what === "preface" ? ErrorCode.Protocol : ErrorCode.FrameSize)
  }

  onFrame(type: number, flags: number, stream: number, payload: Buffer): boolean {
    const { unfinished } = this
    if (unfinished !== undefined && (type !== FrameType.Continuation || stream !== unfinished.stream))
      return this.giveUp(ErrorCode.Protocol)
    if (!this.settled && type !== FrameType.Settings) return this.giveUp(ErrorCode.Protocol)
    switch (type) {
      case FrameType.Data:
        return this.onData(flags, stream, payload)
      case FrameType.Headers:
        return this.onHeaders(flags, stream, payload)
      case FrameType.Continuation:
        return this.onContinuation(flags, payload)
      case FrameType.RstStream:
        return this.onRstStream(stream, payload)
      case FrameType.Settings:
        return this.onSettings(flags, stream, payload)
      case FrameType.Ping:
        return this.onPing(flags, stream, payload)
      case FrameType.WindowUpdate:
        return this.onWindowUpdate(stream, payload)
      case FrameType.PushPromise:
        return this.giveUp(ErrorCode.Protocol)
      case FrameType.Goaway:
        if (stream !== 0 || payload.length < 8) return this.giveUp(ErrorCode.Protocol)
        this.goingAway = true
        return this.closeWhenDone()
      case FrameType.Priority:
        if (stream === 0) return this.giveUp(ErrorCode.Protocol)
        return payload.length === 5 ? this.spend(this.updates) : this.failStream(stream, ErrorCode.FrameSize)
      default:
        return this.spend(this.controls) // §5.5: unknown frames are ignored
    }
  }

  private spend(budget: Budget): boolean {
    return budget.spend(this.now) || this.giveUp(ErrorCode.EnhanceYourCalm)
  }

  /** The bytes between padding; undefined when there is more padding than frame (§6.1). */
  private unpad(flags: number, payload: Buffer): Buffer | undefined {
    if ((flags & Flag.Padded) === 0) return payload
    const padding = payload[0] ?? 256
    return padding < payload.length ? payload.subarray(1, payload.length - padding) : undefined
  }

  private onData(flags: number, id: number, payload: Buffer): boolean {
    const data = id === 0 || id > this.lastStream ? undefined : this.unpad(flags, payload)
    if (data === undefined) return this.giveUp(ErrorCode.Protocol)
    this.receiveWindow -= payload.length
    if (this.receiveWindow < 0) return this.giveUp(ErrorCode.FlowControl)
    const stream = this.streams.get(id)
    if (stream === undefined || stream.remoteEnded) {
      this.credit(payload.length)
      // Frames that were under way when the edge reset the stream; a peer that goes on and on is spent (§5.4.2).
      return stream === undefined ? this.spend(this.resets) : this.failStream(id, ErrorCode.StreamClosed)
    }
    const ended = (flags & Flag.EndStream) !== 0
    if (data.length === 0 && !ended && !this.spend(this.controls)) return false
    if (!stream.receive(data, payload.length)) return this.failStream(id, ErrorCode.FlowControl)
    if (ended) stream.endRemote("")
    return true
  }

  private onHeaders(flags: number, id: number, payload: Buffer): boolean {
    if (id % 2 === 0) return this.giveUp(ErrorCode.Protocol)
    let block = this.unpad(flags, payload)
    if (block === undefined) return this.giveUp(ErrorCode.Protocol)
    if ((flags & Flag.Priority) !== 0) {
      if (block.length < 5) return this.giveUp(ErrorCode.FrameSize)
      block = block.subarray(5)
    }
    const ended = (flags & Flag.EndStream) !== 0
    if ((flags & Flag.EndHeaders) !== 0) return this.onBlock(id, block, ended)
    this.unfinished = { stream: id, ended, pieces: [Buffer.from(block)], length: block.length }
    this.deadline = this.now + this.edge.limits.headMillis
    return true
  }

  private onContinuation(flags: number, payload: Buffer): boolean {
    const { unfinished } = this
    if (unfinished === undefined) return this.giveUp(ErrorCode.Protocol)
    unfinished.length += payload.length
    if (unfinished.pieces.push(Buffer.from(payload)) > maxContinuations || unfinished.length > maxHeadBytes * 2)
      return this.giveUp(ErrorCode.EnhanceYourCalm)
    if ((flags & Flag.EndHeaders) === 0) return true
    this.unfinished = undefined
    return this.onBlock(unfinished.stream, Buffer.concat(unfinished.pieces), unfinished.ended)
  }

  private onBlock(id: number, block: Buffer, ended: boolean): boolean {
    const list = this.decoder.decode(block, maxHeadBytes * 2, maxFieldLines)
    if (list === undefined) return this.giveUp(ErrorCode.Compression)
    const known = this.streams.get(id)
    if (known !== undefined) return this.onTrailers(known, list.tooLarge ? undefined : list.fields, ended)
    if (id <= this.lastStream) return this.giveUp(ErrorCode.StreamClosed)
    this.lastStream = id
    if (this.goingAway || this.streams.size >= maxStreams) {
      this.writer.put(resetFrame(id, ErrorCode.RefusedStream))
      return this.spend(this.resets)
    }
    const stream = new OwnStream(this, id, ended)
    this.streams.set(id, stream)
    if (this.deadline === 0 || this.streams.size === 1) this.deadline = this.now + lookMillis
    if (list.tooLarge) return this.refuseLarge(stream)
    const request = new Http2Request(this.edge, this.peer, stream, ended)
    stream.request = request
    request.start(list.fields)
    return !this.closed
  }

  private refuseLarge(stream: OwnStream): boolean {
    this.writer.put(headerFrames(stream.id, encodeFields([":status", "431", "content-length", "0"]), true))
    this.resetStream(stream, ErrorCode.NoError)
    return this.spend(this.resets)
  }

  private onTrailers(stream: OwnStream, fields: ReadonlyArray<string> | undefined, ended: boolean): boolean {
    if (stream.remoteEnded) return this.failStream(stream.id, ErrorCode.StreamClosed)
    let lines = ""
    for (let at = 0; fields !== undefined && at < fields.length; at += 2) lines += `${fields[at]}: ${fields[at + 1]}\r\n`
    const kept = fields === undefined || !ended || /^:|\n:/.test(lines) ? undefined : readTrailers(`${lines}\r\n`)
    if (typeof kept !== "string") return this.failStream(stream.id, ErrorCode.Protocol) // §8.1: malformed
    stream.endRemote(kept)
    return true
  }

  private onRstStream(id: number, payload: Buffer): boolean {
    if (id === 0 || id > this.lastStream) return this.giveUp(ErrorCode.Protocol)
    if (payload.length !== 4) return this.giveUp(ErrorCode.FrameSize)
    const stream = this.streams.get(id)
    if (stream !== undefined) {
      stream.abandoned()
      this.forget(stream)
    }
    return this.spend(this.resets)
  }

  private onSettings(flags: number, id: number, payload: Buffer): boolean {
    if (id !== 0) return this.giveUp(ErrorCode.Protocol)
    if ((flags & Flag.Ack) !== 0)
      return payload.length === 0 ? this.settled || this.giveUp(ErrorCode.Protocol) : this.giveUp(ErrorCode.FrameSize)
    this.settled = true
    const before = this.peerWindow
    const error = applySettings(payload, this)
    if (error !== undefined) return this.giveUp(error)
    const grown = this.peerWindow - before
    if (grown !== 0) for (const stream of this.streams.values()) if (!stream.widen(grown)) return this.giveUp(ErrorCode.FlowControl)
    this.writer.put(frameHeader(0, FrameType.Settings, Flag.Ack, 0))
    return this.spend(this.controls)
  }

  private onPing(flags: number, id: number, payload: Buffer): boolean {
    if (id !== 0) return this.giveUp(ErrorCode.Protocol)
    if (payload.length !== 8) return this.giveUp(ErrorCode.FrameSize)
    if ((flags & Flag.Ack) === 0) this.writer.put(frameHeader(8, FrameType.Ping, Flag.Ack, 0) + payload.toString("latin1"))
    return this.spend(this.controls)
  }

  private onWindowUpdate(id: number, payload: Buffer): boolean {
    if (payload.length !== 4) return this.giveUp(ErrorCode.FrameSize)
    const increment = payload.readUInt32BE(0) & maxWindow
    if (id > this.lastStream || (id === 0 && increment === 0)) return this.giveUp(ErrorCode.Protocol)
    if (id !== 0) {
      if (increment === 0) return this.failStream(id, ErrorCode.Protocol)
      const stream = this.streams.get(id)
      if (stream !== undefined && !stream.widen(increment)) return this.failStream(id, ErrorCode.FlowControl)
      return this.spend(this.updates)
    }
    this.sendWindow += increment
    if (this.sendWindow > maxWindow) return this.giveUp(ErrorCode.FlowControl)
    for (const stream of this.streams.values()) if (stream.waiting) stream.roomAgain()
    return this.spend(this.updates)
  }

  private onDrain(): void {
    this.writer.blocked = false
    for (const stream of this.streams.values()) stream.roomAgain()
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
  private failStream(id: number, code: number): boolean {
    const stream = this.streams.get(id)
    if (stream === undefined) this.writer.put(resetFrame(id, code))
    else this.resetStream(stream, code)
    return this.spend(this.resets)
  }

  resetStream(stream: OwnStream, code: number): void {
    if (this.streams.get(stream.id) !== stream) return
    this.streams.delete(stream.id)
    this.writer.put(resetFrame(stream.id, code))
    stream.abandoned()
    this.afterStream()
  }

  /** The stream ended on both sides. */
  forget(stream: OwnStream): void {
    if (this.streams.delete(stream.id)) this.afterStream()
  }

  private afterStream(): void {
    if (this.streams.size > 0) return
    this.deadline = this.now + this.edge.limits.idleMillis
    this.closeWhenDone()
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
    this.goingAway = true
    this.writer.put(goawayFrame(this.lastStream, ErrorCode.NoError))
    this.closeWhenDone()
  }

  /** A connection error (§5.4.1). */
  private giveUp(code: number): false {
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
    if (this.unfinished !== undefined || !this.settled) {
      this.giveUp(ErrorCode.EnhanceYourCalm)
      return
    }
    if (this.streams.size === 0) {
      if (this.goingAway) this.destroy()
      else this.drain()
      return
    }
    const { bodyMillis, drainMillis } = this.edge.limits
    for (const stream of [...this.streams.values()]) {
      const limit = stream.waiting ? drainMillis : stream.stalled ? bodyMillis : Number.POSITIVE_INFINITY
      if (this.now - stream.movedAt > limit) this.resetStream(stream, ErrorCode.Cancel)
    }
    this.deadline = this.now + lookMillis
  }

  private release(): void {
    this.closed = true
    this.edge.deadlines.forget(this)
    const streams = [...this.streams.values()]
    this.streams.clear()
    for (const stream of streams) stream.abandoned()
  }

  destroy(): void {
    if (this.closed) return
    this.release()
    this.socket.destroy()
  }
}
