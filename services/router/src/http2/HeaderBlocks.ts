/**
 * Puts header blocks together out of HEADERS and CONTINUATION frames (RFC 9113 §6.2, §6.10).
 *
 * Owns: the one block that may be unfinished on a connection, its limits. Leaves to `HpackDecoder.ts`: its content. Built against: a block that never
 * ends, in a thousand small frames or in a few large ones.
 */
import { maxHeadBytes } from "../http1/fields.ts"
import { ErrorCode, Flag, maxStreamId } from "./frames.ts"

const maxContinuations = 16

/** `bytes` from `start` to `end`. */
export interface HeaderBlock {
  readonly stream: number
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  /** END_STREAM stood on the HEADERS frame. */
  readonly ended: boolean
}

/** Where a frame's content begins, behind the length of its padding. */
export const contentStart = (flags: number, start: number): number => ((flags & Flag.Padded) === 0 ? start : start + 1)

/** Where the content of the frame in `bytes` from `start` to `end` ends, before its padding; -1 when there is more of that than frame (§6.1). */
export const contentEnd = (flags: number, bytes: Buffer, start: number, end: number): number => {
  if ((flags & Flag.Padded) === 0) return end
  const padding = start < end ? bytes[start]! : 256
  return padding < end - start ? end - padding : -1
}

/** The stream that old priorities, which begin at `at`, name. RFC 7540 §5.3.1: never the stream itself; RFC 9113 §5.3.2 ignores all else in them. */
export const dependsOn = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at) & maxStreamId

export class HeaderBlocks {
  private pieces: Array<Buffer> = []
  private length = 0
  private ended = false
  /** The stream whose block is unfinished; 0: none is, and no other frame may come before it is finished. */
  stream = 0

  /** A whole block, undefined while it is unfinished, or the error code that ends the connection. */
  begin(flags: number, stream: number, bytes: Buffer, from: number, to: number): HeaderBlock | number | undefined {
    let start = contentStart(flags, from)
    const end = contentEnd(flags, bytes, from, to)
    if (stream % 2 === 0 || end < 0) return ErrorCode.Protocol
    if ((flags & Flag.Priority) !== 0) {
      if (end - start < 5) return ErrorCode.FrameSize
      if (dependsOn(bytes, start) === stream) return ErrorCode.Protocol
      start += 5
    }
    const ended = (flags & Flag.EndStream) !== 0
    if ((flags & Flag.EndHeaders) !== 0) return { stream, bytes, start, end, ended }
    this.stream = stream
    this.ended = ended
    this.pieces = [bytes.subarray(start, end)]
    this.length = end - start
    return undefined
  }

  continue(flags: number, payload: Buffer): HeaderBlock | number | undefined {
    const { stream, ended } = this
    if (stream === 0) return ErrorCode.Protocol
    this.length += payload.length
    if (this.pieces.push(payload) > maxContinuations || this.length > maxHeadBytes * 2) return ErrorCode.EnhanceYourCalm
    if ((flags & Flag.EndHeaders) === 0) return undefined
    this.stream = 0
    const bytes = Buffer.concat(this.pieces)
    this.pieces = []
    return { stream, bytes, start: 0, end: bytes.length, ended }
  }
}
