/**
 * SETTINGS of both sides (RFC 9113 §6.5).
 *
 * Owns: what the edge offers, which of the client's values are allowed, and what is taken from them.
 */
import { maxHeadBytes } from "../http1/fields.ts"
import { ErrorCode, maxWindow, Setting } from "./frames.ts"

/** More in one frame than there are settings, several times over, is no configuration. */
const maxSettings = 32
/** Of HPACK's dynamic table, as long as the client says nothing else (§6.5.2). */
export const firstTable = 4096
const smallestFrame = 16_384
const largestFrame = 16_777_215

/** Requests at a time on one connection. */
export const maxStreams = 128
/** The window that clients get per stream. */
export const streamWindow = 256 * 1024

/** What the edge offers. */
export const offered: ReadonlyArray<readonly [number, number]> = [
  [Setting.MaxConcurrentStreams, maxStreams],
  [Setting.InitialWindowSize, streamWindow],
  [Setting.MaxHeaderListSize, maxHeadBytes],
  [Setting.EnableConnectProtocol, 1]
]

export interface PeerSettings {
  peerWindow: number
  peerTable: number
  readonly writer: { tableUpdate: boolean }
}

/** Returns the error code that ends the connection, or undefined. */
export const applySettings = (payload: Buffer, peer: PeerSettings): number | undefined => {
  if (payload.length % 6 !== 0) return ErrorCode.FrameSize
  if (payload.length > maxSettings * 6) return ErrorCode.EnhanceYourCalm
  for (let at = 0; at < payload.length; at += 6) {
    const id = payload.readUInt16BE(at)
    const value = payload.readUInt32BE(at + 2)
    if ((id === Setting.EnablePush || id === Setting.EnableConnectProtocol) && value > 1) return ErrorCode.Protocol
    if (id === Setting.HeaderTableSize) {
      if (value < peer.peerTable) peer.writer.tableUpdate = true
      peer.peerTable = value
    }
    if (id === Setting.InitialWindowSize) {
      if (value > maxWindow) return ErrorCode.FlowControl
      peer.peerWindow = value
    }
    if (id === Setting.MaxFrameSize && (value < smallestFrame || value > largestFrame)) return ErrorCode.Protocol
  }
  return undefined
}
