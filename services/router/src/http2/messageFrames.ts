/**
 * Frames that carry messages: HEADERS and CONTINUATION once they are a whole block, DATA.
 *
 * Owns: which stream they belong to, and when they are an error (RFC 9113 §5.1, §6, §8). Leaves to `Http2Connection.ts`: carrying it out; to
 * `Http2Request.ts`: requests. All return whether reading goes on.
 */
import { maxFieldLines, maxHeadBytes } from "../http1/fields.ts"
import { refuse } from "../http1/Refusal.ts"
import { ErrorCode, Flag } from "./frames.ts"
import { contentEnd, contentStart, type HeaderBlock } from "./HeaderBlocks.ts"
import type { HeaderField } from "./HeaderField.ts"
import type { Http2Connection } from "./Http2Connection.ts"
import { Http2Request } from "./Http2Request.ts"
import { OwnStream } from "./OwnStream.ts"
import { readHttp2Trailers } from "./readFields.ts"
import { maxStreams } from "./settings.ts"

/** The frame's payload is `bytes` from `start` to `end`. */
export const onData = (connection: Http2Connection, flags: number, id: number, bytes: Buffer, start: number, end: number): boolean => {
  const dataEnd = id === 0 || id > connection.lastStream ? -1 : contentEnd(flags, bytes, start, end)
  if (dataEnd < 0) return connection.giveUp(ErrorCode.Protocol)
  const length = end - start
  if (!connection.window.take(length)) return connection.giveUp(ErrorCode.FlowControl)
  const stream = connection.streams.find(id)
  if (stream === undefined || stream.remoteEnded) {
    connection.credit(length)
    // Frames that were under way when the edge reset the stream (§5.1); a peer that goes on and on is spent. On any other: §6.1.
    return connection.cutOff.has(id) ? connection.spend("resets") : connection.failStream(id, ErrorCode.StreamClosed)
  }
  const ended = (flags & Flag.EndStream) !== 0
  const data = bytes.subarray(contentStart(flags, start), dataEnd)
  if (data.length === 0 && !ended && !connection.spend("controls")) return false
  if (!stream.receive(data, length)) {
    connection.credit(length)
    return connection.failStream(id, ErrorCode.FlowControl)
  }
  if (ended) stream.endRemote("")
  return !connection.closed
}

const onTrailers = (
  connection: Http2Connection,
  stream: OwnStream,
  fields: ReadonlyArray<HeaderField> | undefined,
  ended: boolean
): boolean => {
  if (stream.remoteEnded) return connection.failStream(stream.id, ErrorCode.StreamClosed)
  const kept = fields === undefined || !ended ? undefined : readHttp2Trailers(fields)
  if (kept === undefined) return connection.failStream(stream.id, ErrorCode.Protocol) // §8.1: malformed
  stream.endRemote(kept)
  return true
}

/** From `HeaderBlocks`. */
export const onBlock = (connection: Http2Connection, block: HeaderBlock | number | undefined): boolean => {
  if (typeof block !== "object") return block === undefined || connection.giveUp(block)
  const { stream: id, ended } = block
  const list = connection.decoder.decode(block.bytes, maxHeadBytes, maxFieldLines, block.start, block.end)
  if (list === undefined) return connection.giveUp(ErrorCode.Compression)
  const known = id > connection.lastStream ? undefined : connection.streams.find(id)
  if (known !== undefined) return onTrailers(connection, known, list.tooLarge ? undefined : list.fields, ended)
  if (id <= connection.lastStream) return connection.cutOff.has(id) ? connection.spend("resets") : connection.giveUp(ErrorCode.StreamClosed)
  connection.lastStream = id
  if (connection.goingAway || connection.streams.size >= maxStreams) {
    connection.cutOff.reset(connection.writer, id, ErrorCode.RefusedStream, ended)
    return connection.spend("resets")
  }
  const stream = new OwnStream(connection, id, ended)
  connection.streams.add(stream)
  const request = new Http2Request(connection.edge, connection.peer, stream, ended, connection.reader.cameAt)
  stream.request = request
  request.start(list.tooLarge ? refuse(431, "head-too-large") : list.fields)
  return list.tooLarge ? connection.spend("resets") : !connection.closed
}
