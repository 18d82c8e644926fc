/**
 * An HTTP/2 client for tests that sends any frames, and remembers what came back.
 *
 * Owns: one connection to a `TestEdge`, its frames cut and counted. Leaves to the tests: what a client must not do.
 */
import type { TLSSocket } from "node:tls"
import { FrameReader, type FrameSink } from "../http2/FrameReader.ts"
import { Flag, FrameType, frameHeader, preface, settingsFrame } from "../http2/frames.ts"
import { encodeFields } from "./encodeFields.ts"
import type { TestEdge } from "./TestEdge.ts"

export const start = preface.toString("latin1")
export const frame = (type: number, flags: number, stream: number, payload = ""): string =>
  frameHeader(payload.length, type, flags, stream) + payload
export const headers = (stream: number, fields: ReadonlyArray<string>, flags: number = Flag.EndStream | Flag.EndHeaders): string =>
  frame(FrameType.Headers, flags, stream, encodeFields(fields))

/** What waits in the edge for its HTTP/2 clients to take it. */
export const unreadBytes = (edge: TestEdge): number => {
  const { http2 } = edge.router.listeners as unknown as {
    http2: { connections: { list(): ReadonlyArray<{ connection: { socket: { writableLength: number } } }> } }
  }
  return http2.connections.list().reduce((sum, { connection }) => sum + connection.socket.writableLength, 0)
}

export class RawHttp2 implements FrameSink {
  /** Bytes of bodies by stream. */
  readonly received = new Map<number, number>()
  /** Header blocks by stream, as they came. */
  readonly blocks = new Map<number, Array<string>>()
  readonly ended = new Set<number>()
  /** Codes of GOAWAY, and the last streams that they named. */
  readonly goaways: Array<number> = []
  readonly lastStreams: Array<number> = []
  readonly resets: Array<readonly [stream: number, code: number]> = []
  /** Type and stream of every frame, as they came. */
  readonly log: Array<readonly [type: number, stream: number]> = []
  /** Body bytes of all streams, latin1. */
  text = ""
  closed = false
  readonly socket: TLSSocket
  private pongs = 0
  private pings = 0
  private readonly frames = new FrameReader()

  private constructor(socket: TLSSocket) {
    this.socket = socket
    socket.on("error", () => {})
    socket.on("close", () => {
      this.closed = true
    })
    this.frames.read(preface, this) // what a server sends has none
    socket.on("data", (piece: Buffer) => this.frames.read(piece, this))
  }

  static async open(edge: TestEdge, host: string, settings: ReadonlyArray<readonly [number, number]> = []): Promise<RawHttp2> {
    const client = new RawHttp2(await edge.connect(host, { alpn: ["h2"] }))
    client.send(start + settingsFrame(settings))
    return client
  }

  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): boolean {
    const payload = bytes.subarray(start, end)
    this.log.push([type, stream])
    if (type === FrameType.Data) {
      this.received.set(stream, (this.received.get(stream) ?? 0) + payload.length)
      this.text += payload.toString("latin1")
    }
    if (type === FrameType.Headers) this.blocks.set(stream, [...(this.blocks.get(stream) ?? []), payload.toString("latin1")])
    if ((type === FrameType.Data || type === FrameType.Headers) && (flags & Flag.EndStream) !== 0) this.ended.add(stream)
    if (type === FrameType.Ping && (flags & Flag.Ack) !== 0) this.pongs++
    if (type === FrameType.Goaway) {
      this.lastStreams.push(payload.readUInt32BE(0))
      this.goaways.push(payload.readUInt32BE(4))
    }
    if (type === FrameType.RstStream) this.resets.push([stream, payload.readUInt32BE(0)])
    return true
  }

  onBroken(what: string): void {
    throw new Error(what)
  }

  send(text: string): void {
    this.socket.write(text, "latin1")
  }

  async until(what: () => boolean): Promise<void> {
    while (!what()) await new Promise((resolve) => setTimeout(resolve, 2))
  }

  /** Resolves when the edge has acted on everything that was sent. */
  async settled(): Promise<void> {
    const wanted = ++this.pings
    this.send(frame(FrameType.Ping, 0, 0, "settled?"))
    await this.until(() => this.pongs >= wanted)
  }

  close(): void {
    this.socket.destroy()
  }
}
