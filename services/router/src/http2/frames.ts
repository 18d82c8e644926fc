/**
 * The frames of HTTP/2 (RFC 9113 §4, §6, §7).
 *
 * Owns: numbers, and frame headers as text of one code unit per byte. Leaves to `Http2Connection.ts`: what they do.
 */
export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  Goaway: 7,
  WindowUpdate: 8,
  Continuation: 9
} as const

export const Flag = { EndStream: 1, Ack: 1, EndHeaders: 4, Padded: 8, Priority: 32 } as const

export const ErrorCode = {
  NoError: 0,
  Protocol: 1,
  Internal: 2,
  FlowControl: 3,
  SettingsTimeout: 4,
  StreamClosed: 5,
  FrameSize: 6,
  RefusedStream: 7,
  Cancel: 8,
  Compression: 9,
  Connect: 10,
  EnhanceYourCalm: 11
} as const

/** As RFC 9113 §7 writes it. */
export const errorName = (code: number): string => errorNames[code] ?? "UNKNOWN"
const errorNames = [
  ...["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR"],
  ...["REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]
]

export const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
  EnableConnectProtocol: 8
} as const

/** RFC 9113 §3.4. */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")
export const maxWindow = 0x7fffffff
/** Ids have 31 bits; the one above is reserved, or says `exclusive`. */
export const maxStreamId = 0x7fffffff
/** SETTINGS_MAX_FRAME_SIZE: the initial value is what the edge keeps for itself, and sends at most. */
export const frameSize = 16_384
export const headerBytes = 9

export const uint32 = (value: number): string =>
  String.fromCharCode((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)

export const frameHeader = (length: number, type: number, flags: number, stream: number): string =>
  String.fromCharCode((length >>> 16) & 255, (length >>> 8) & 255, length & 255, type, flags) + uint32(stream)

export const writeFrameHeader = (out: Uint8Array, at: number, length: number, type: number, flags: number, stream: number): void => {
  out[at] = length >>> 16
  out[at + 1] = length >>> 8
  out[at + 2] = length
  out[at + 3] = type
  out[at + 4] = flags
  out[at + 5] = stream >>> 24
  out[at + 6] = stream >>> 16
  out[at + 7] = stream >>> 8
  out[at + 8] = stream
}

export const settingsFrame = (settings: ReadonlyArray<readonly [number, number]>): string =>
  frameHeader(settings.length * 6, FrameType.Settings, 0, 0) +
  settings.map(([id, value]) => String.fromCharCode(id >> 8, id & 255) + uint32(value)).join("")

export const resetFrame = (stream: number, code: number): string => frameHeader(4, FrameType.RstStream, 0, stream) + uint32(code)
export const windowFrame = (stream: number, increment: number): string =>
  frameHeader(4, FrameType.WindowUpdate, 0, stream) + uint32(increment)
export const pingFrame = (content: string): string => frameHeader(8, FrameType.Ping, 0, 0) + content
export const goawayFrame = (last: number, code: number): string => frameHeader(8, FrameType.Goaway, 0, 0) + uint32(last) + uint32(code)

/** A header block as HEADERS and as many CONTINUATION frames as it needs. */
export const headerFrames = (stream: number, block: string, ended: boolean): string => {
  const flags = ended ? Flag.EndStream : 0
  if (block.length <= frameSize) return frameHeader(block.length, FrameType.Headers, flags | Flag.EndHeaders, stream) + block
  let text = frameHeader(frameSize, FrameType.Headers, flags, stream) + block.slice(0, frameSize)
  for (let at = frameSize; at < block.length; at += frameSize) {
    const piece = block.slice(at, at + frameSize)
    text += frameHeader(piece.length, FrameType.Continuation, at + frameSize >= block.length ? Flag.EndHeaders : 0, stream) + piece
  }
  return text
}
