/**
 * Frames that carry messages: HEADERS and CONTINUATION once they are a whole block, DATA.
 *
 * Owns: which stream they belong to, and when they are an error (RFC 9113 §5.1, §6, §8). Leaves to `Http2Connection.ts`: carrying it out; to
 * `Http2Request.ts`: requests. All return whether reading goes on.
 */
import type { Refusal } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import { ErrorCode, Flag } from "./frames.ts"
import { contentEnd, contentStart, type HeaderBlock } from "./HeaderBlocks.ts"
import type { HeaderField } from "./HeaderField.ts"
import type { Http2Connection } from "./Http2Connection.ts"
import { Http2Request } from "./Http2Request.ts"
import { OwnStream } from "./OwnStream.ts"
import { tooLarge } from "./RequestHeads.ts"
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

/** A request on a stream of its own, whose head was read, or refused. */
const begin = (connection: Http2Connection, { stream: id, ended }: HeaderBlock, head: RequestHead | Refusal): boolean => {
  connection.lastStream = id
  if (connection.goingAway || connection.streams.size >= maxStreams) {
    connection.cutOff.reset(connection.writer, id, ErrorCode.RefusedStream, ended)
    return connection.spend("resets")
  }
  const stream = new OwnStream(connection, id, ended)
  connection.streams.add(stream)
  const request = new Http2Request(connection.edge, connection.peer, stream, ended, connection.reader.cameAt)
  stream.request = request
  request.start(head)
  return head === tooLarge ? connection.spend("resets") : !connection.closed
}

/** From `HeaderBlocks`. */
export const onBlock = (connection: Http2Connection, block: HeaderBlock | number | undefined): boolean => {
  if (typeof block !== "object") return block === undefined || connection.giveUp(block)
  const { heads, lastStream } = connection
  const { stream: id, ended } = block
  if (id > lastStream) {
    const head = heads.read(block)
    return head === undefined ? connection.giveUp(ErrorCode.Compression) : begin(connection, block, head)
  }
  const list = heads.decode(block)
  if (list === undefined) return connection.giveUp(ErrorCode.Compression)
  const known = connection.streams.find(id)
  if (known !== undefined) return onTrailers(connection, known, list.tooLarge ? undefined : list.fields, ended)
  return connection.cutOff.has(id) ? connection.spend("resets") : connection.giveUp(ErrorCode.StreamClosed)
}
