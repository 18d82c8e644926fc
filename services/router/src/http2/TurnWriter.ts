/**
 * Collects what one connection sends within a turn of the event loop, and writes it once.
 *
 * Owns: the order of frames, one buffer and one TLS write per turn. That is where HTTP/2 wins: sixteen answers cost one record, one system call.
 */
import type { Socket } from "node:net"
import { giveBack, largeBytes, takeBuffer } from "../bufferPool.ts"
import { Flag, FrameType, frameSize, headerBytes, headerFrames, writeFrameHeader } from "./frames.ts"
import type { AnswerHead } from "./Http2Stream.ts"
import { blockRoom, writeLength, writeLines, writePassed, writeStatus } from "./hpack/writeBlock.ts"

/** Most turns need no more. What needs more is moved once into a buffer of `largeBytes`, and the connection's next turn begins with such a one. */
const usualBytes = 32 * 1024

/** RFC 7541 §4.2: "a table of size 0", of which the edge's encoder uses nothing anyway. */
const noTable = 0x20

let dirty: Array<TurnWriter> = []
let scheduled = false

const flushAll = (): void => {
  scheduled = false
  const writers = dirty
  dirty = []
  for (const writer of writers) writer.flush()
}

export class TurnWriter {
  /** The socket has more than it can take: only control frames should follow until it drains. */
  blocked = false
  /** The client has made its table smaller, which the next header block must agree to. */
  tableUpdate = false
  private readonly socket: Socket
  private out: Buffer | undefined
  /** Of the turn's buffer, until the turn needs more. */
  private size: typeof usualBytes | typeof largeBytes = usualBytes
  private at = 0
  /** Bytes that went out before those in `out`. */
  private flushed = 0

  constructor(socket: Socket) {
    this.socket = socket
  }

  /** A buffer with room for `length` bytes, which must not be more than it holds. */
  private room(length: number): Buffer {
    if (this.at + length > this.size) this.makeRoom(length)
    if (this.out !== undefined) return this.out
    this.out = takeBuffer(this.size)
    dirty.push(this)
    if (!scheduled) {
      scheduled = true
      setImmediate(flushAll)
    }
    return this.out
  }

  private makeRoom(length: number): void {
    if (this.at + length > largeBytes) this.flush()
    this.size = largeBytes
    const { at, out } = this
    if (out === undefined || out.length === largeBytes) return
    this.out = takeBuffer(largeBytes)
    out.copy(this.out, 0, 0, at)
    giveBack(out)
  }

  /** Frames as latin1. */
  put(frames: string): void {
    if (frames.length > largeBytes) {
      this.flush()
      this.send(Buffer.from(frames, "latin1"))
      return
    }
    const out = this.room(frames.length) // may move `at`
    this.at += out.write(frames, this.at, "latin1")
  }

  /** Returns where it ends. */
  private writeBlock(out: Buffer, at: number, head: AnswerHead, lines: string): number {
    let start = at
    if (this.tableUpdate) out[start++] = noTable
    this.tableUpdate = false
    start = writePassed(out, writeStatus(out, start, head.status), head.passed)
    return writeLines(out, writeLength(out, start, head), lines)
  }

  /** A header block as HEADERS and as many CONTINUATION frames as it needs. Status 0: trailers. `lines`: of HTTP/1, each with its CRLF. */
  putHeaders(stream: number, head: AnswerHead, lines: string, ended: boolean): void {
    const most = blockRoom(head.passed.length + lines.length) + 1
    if (most > frameSize) {
      const block = Buffer.allocUnsafe(most)
      const end = this.writeBlock(block, 0, head, lines)
      this.put(headerFrames(stream, block.toString("latin1", 0, end), ended))
      return
    }
    const out = this.room(headerBytes + most)
    const start = this.at + headerBytes
    const end = this.writeBlock(out, start, head, lines)
    const flags = ended ? Flag.EndHeaders | Flag.EndStream : Flag.EndHeaders
    writeFrameHeader(out, this.at, end - start, FrameType.Headers, flags, stream)
    this.at = end
  }

  /** A DATA frame of `bytes` from `start` to `end`; returns its place, for `endStreamAt`. */
  putData(stream: number, bytes: Buffer, start: number, end: number): number {
    const length = end - start
    const out = this.room(headerBytes + length)
    const { at } = this
    writeFrameHeader(out, at, length, FrameType.Data, 0, stream)
    bytes.copy(out, at + headerBytes, start, end)
    this.at = at + headerBytes + length
    return this.flushed + at
  }

  /** Sets END_STREAM on a frame; false when it has been written already. */
  endStreamAt(place: number): boolean {
    if (this.out === undefined || place < this.flushed) return false
    this.out[place - this.flushed + 4] = Flag.EndStream
    return true
  }

  flush(): void {
    const { at, out } = this
    if (out === undefined) return
    this.out = undefined
    this.at = 0
    this.flushed += at
    this.size = at > usualBytes ? largeBytes : usualBytes
    if (at > usualBytes || this.socket.writableLength === 0) {
      this.send(out.subarray(0, at), out)
      return
    }
    // Behind others that wait for a slow client it takes no more memory than it has bytes.
    const bytes = Buffer.allocUnsafe(at)
    out.copy(bytes, 0, 0, at)
    giveBack(out)
    this.send(bytes)
  }

  /** `whole`: given back when it is written. */
  private send(bytes: Buffer, whole?: Buffer): void {
    if (this.socket.destroyed || this.socket.writableEnded) return
    if (!this.socket.write(bytes, whole === undefined ? undefined : () => giveBack(whole))) this.blocked = true
  }
}
