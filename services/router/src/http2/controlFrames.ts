/**
 * Frames that say something about the connection or a stream and carry no message: RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, PRIORITY, GOAWAY.
 *
 * Owns: what each does and when it is an error (RFC 9113 §6). Leaves to `Http2Connection.ts`: carrying it out. All return whether reading goes on.
 */
import { ErrorCode, Flag, FrameType, frameHeader, maxWindow } from "./frames.ts"
import { dependsOn } from "./HeaderBlocks.ts"
import type { Http2Connection } from "./Http2Connection.ts"
import { applySettings } from "./settings.ts"

type Handler = (connection: Http2Connection, flags: number, stream: number, payload: Buffer) => boolean

const onRstStream: Handler = (connection, _, id, payload) => {
  if (id === 0 || id > connection.lastStream) return connection.giveUp(ErrorCode.Protocol)
  if (payload.length !== 4) return connection.giveUp(ErrorCode.FrameSize)
  const stream = connection.streams.find(id)
  if (stream !== undefined) connection.abandon(stream, "client-gone")
  return connection.spend("resets")
}

const onSettings: Handler = (connection, flags, id, payload) => {
  if (id !== 0) return connection.giveUp(ErrorCode.Protocol)
  if ((flags & Flag.Ack) !== 0) {
    if (payload.length > 0) return connection.giveUp(ErrorCode.FrameSize)
    return connection.settled || connection.giveUp(ErrorCode.Protocol) // §3.4: the client's own come first
  }
  connection.settled = true
  const before = connection.peerWindow
  const error = applySettings(payload, connection)
  if (error !== undefined) return connection.giveUp(error)
  connection.writer.put(frameHeader(0, FrameType.Settings, Flag.Ack, 0)) // before a header block that goes by them
  const grown = connection.peerWindow - before
  if (grown !== 0) {
    for (const stream of connection.streams.list()) if (!stream.widen(grown)) return connection.giveUp(ErrorCode.FlowControl)
  }
  return connection.spend("controls")
}

const onPing: Handler = (connection, flags, id, payload) => {
  if (id !== 0) return connection.giveUp(ErrorCode.Protocol)
  if (payload.length !== 8) return connection.giveUp(ErrorCode.FrameSize)
  if ((flags & Flag.Ack) !== 0)
    connection.farewell() // of the only PING that the edge sends
  else connection.writer.put(frameHeader(8, FrameType.Ping, Flag.Ack, 0) + payload.toString("latin1"))
  return connection.spend("controls")
}

const onWindowUpdate: Handler = (connection, _, id, payload) => {
  if (payload.length !== 4) return connection.giveUp(ErrorCode.FrameSize)
  const increment = payload.readUInt32BE(0) & maxWindow
  if (id > connection.lastStream || (id === 0 && increment === 0)) return connection.giveUp(ErrorCode.Protocol)
  if (id !== 0) {
    if (increment === 0) return connection.failStream(id, ErrorCode.Protocol)
    const stream = connection.streams.find(id)
    if (stream !== undefined && !stream.widen(increment)) return connection.failStream(id, ErrorCode.FlowControl)
    return connection.spend("updates")
  }
  connection.sendWindow += increment
  if (connection.sendWindow > maxWindow) return connection.giveUp(ErrorCode.FlowControl)
  connection.turns.serve(connection.streams.list())
  return connection.spend("updates")
}

/** RFC 9113 §5.3.2: the old priorities are read and ignored. */
const onPriority: Handler = (connection, _, id, payload) => {
  if (id === 0) return connection.giveUp(ErrorCode.Protocol)
  if (payload.length === 5) return dependsOn(payload, 0) === id ? connection.giveUp(ErrorCode.Protocol) : connection.spend("updates")
  // §6.4: an idle stream is not reset.
  return id > connection.lastStream ? connection.giveUp(ErrorCode.FrameSize) : connection.failStream(id, ErrorCode.FrameSize)
}

const onGoaway: Handler = (connection, _, id, payload) => {
  if (id !== 0) return connection.giveUp(ErrorCode.Protocol)
  return payload.length < 8 ? connection.giveUp(ErrorCode.FrameSize) : connection.leave()
}

const handlers: Readonly<Record<number, Handler>> = {
  [FrameType.RstStream]: onRstStream,
  [FrameType.Settings]: onSettings,
  [FrameType.Ping]: onPing,
  [FrameType.WindowUpdate]: onWindowUpdate,
  [FrameType.Priority]: onPriority,
  [FrameType.Goaway]: onGoaway,
  [FrameType.PushPromise]: (connection) => connection.giveUp(ErrorCode.Protocol) // §8.4: a client can't push
}

/** §5.5: frames of an unknown type are ignored. */
export const onControlFrame = (connection: Http2Connection, type: number, flags: number, stream: number, payload: Buffer): boolean => {
  const handler = handlers[type]
  return handler === undefined ? connection.spend("controls") : handler(connection, flags, stream, payload)
}
