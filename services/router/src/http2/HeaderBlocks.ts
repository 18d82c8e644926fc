/**
 * Puts header blocks together out of HEADERS and CONTINUATION frames (RFC 9113 §6.2, §6.10).
 *
 * Owns: the one block that may be unfinished on a connection, its limits. Leaves to `HpackDecoder.ts`: its content. Built against: a block that never
 * ends, in a thousand small frames or in a few large ones.
 */
import { maxHeadBytes } from "../http1/fields.ts"
import { ErrorCode, Flag, maxStreamId } from "./frames.ts"

const maxContinuations = 16

export interface HeaderBlock {
  readonly stream: number
  readonly bytes: Buffer
  /** END_STREAM stood on the HEADERS frame. */
  readonly ended: boolean
}

/** The bytes between padding; undefined when there is more padding than frame (§6.1). */
export const unpad = (flags: number, payload: Buffer): Buffer | undefined => {
  if ((flags & Flag.Padded) === 0) return payload
  const padding = payload[0] ?? 256
  return padding < payload.length ? payload.subarray(1, payload.length - padding) : undefined
}

/** The stream that old priorities name. RFC 7540 §5.3.1: never the stream itself; RFC 9113 §5.3.2 ignores all else in them. */
export const dependsOn = (priority: Buffer): number => priority.readUInt32BE(0) & maxStreamId

export class HeaderBlocks {
  private pieces: Array<Buffer> = []
  private length = 0
  private ended = false
  /** The stream whose block is unfinished; 0: none is, and no other frame may come before it is finished. */
  stream = 0

  /** A whole block, undefined while it is unfinished, or the error code that ends the connection. */
  begin(flags: number, stream: number, payload: Buffer): HeaderBlock | number | undefined {
    let bytes = stream % 2 === 0 ? undefined : unpad(flags, payload)
    if (bytes === undefined) return ErrorCode.Protocol
    if ((flags & Flag.Priority) !== 0) {
      if (bytes.length < 5) return ErrorCode.FrameSize
      if (dependsOn(bytes) === stream) return ErrorCode.Protocol
      bytes = bytes.subarray(5)
    }
    const ended = (flags & Flag.EndStream) !== 0
    if ((flags & Flag.EndHeaders) !== 0) return { stream, bytes, ended }
    this.stream = stream
    this.ended = ended
    this.pieces = [bytes]
    this.length = bytes.length
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
    return { stream, bytes, ended }
  }
}
