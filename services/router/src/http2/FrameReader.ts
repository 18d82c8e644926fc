/**
 * Cuts a connection's bytes into frames (RFC 9113 §4.1).
 *
 * Owns: frame boundaries and the size limit, before anything is believed. Leaves to `Http2Connection.ts`: what a frame does.
 */
import { performance } from "node:perf_hooks"
import { Gathered } from "../Gathered.ts"
import { frameSize, headerBytes, preface } from "./frames.ts"

export interface FrameSink {
  /** Its payload is `bytes` from `start` to `end`, valid during the call. Returns false when reading must end. */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): boolean
  /** Not HTTP/2, or a frame larger than was offered. */
  onBroken(what: "preface" | "frame-size"): void
}

export class FrameReader {
  /** When what is being cut came, of `performance.now`. */
  cameAt = 0
  private readonly held = new Gathered()
  private begun = false

  read(segment: Buffer, sink: FrameSink): void {
    this.cameAt = performance.now()
    this.held.add(segment)
    this.held.drop(this.cut(this.held.bytes, sink))
  }

  /** How many bytes are done with: all when reading must end. */
  private cut(bytes: Buffer, sink: FrameSink): number {
    let at = 0
    if (!this.begun) {
      const length = Math.min(bytes.length, preface.length)
      if (bytes.compare(preface, 0, length, 0, length) !== 0) {
        sink.onBroken("preface")
        return bytes.length
      }
      if (length < preface.length) return 0
      this.begun = true
      at = length
    }
    while (bytes.length - at >= headerBytes) {
      const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
      if (length > frameSize) {
        sink.onBroken("frame-size")
        return bytes.length
      }
      const start = at + headerBytes
      const end = start + length
      if (end > bytes.length) break
      const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff
      if (!sink.onFrame(bytes[at + 3]!, bytes[at + 4]!, stream, bytes, start, end)) return bytes.length
      at = end
    }
    return at
  }
}
