/**
 * HTTP/2 by Node's own module, on connections that the edge's TLS listener accepted.
 *
 * Owns: translating `node:http2`'s streams to `Http2Stream`. Leaves to `Http2Request.ts`: everything about requests.
 */

import { type IncomingHttpHeaders, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2"
import type { Socket } from "node:net"
import { performance } from "node:perf_hooks"
import type { ClientPeer, Edge } from "../client/Edge.ts"
import { hasLength } from "../exchange/answerLines.ts"
import { readTrailers } from "../http1/trailers.ts"
import { fieldsOf } from "./HeaderField.ts"
import { Http2Request } from "./Http2Request.ts"
import type { AnswerHead, Http2Stream } from "./Http2Stream.ts"
import { linesToFields, readHttp2Fields } from "./readFields.ts"

/** More fields than the edge's own limit, so that the answer to too many is the edge's too; Node would reset the stream at 128. */
const maxHeaderListPairs = 2048
const settings = { enableConnectProtocol: true, maxConcurrentStreams: 128, initialWindowSize: 256 * 1024, maxHeaderListSize: 32 * 1024 }

/** node:http2 takes an object; a name that comes twice becomes a list. */
const toObject = (fields: ReadonlyArray<string>): Record<string, string | Array<string>> => {
  const object: Record<string, string | Array<string>> = Object.create(null)
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    const value = fields[at + 1]!
    const before = object[name]
    object[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return object
}

class NodeStream implements Http2Stream {
  private readonly stream: ServerHttp2Stream
  private trailers: ReadonlyArray<string> = []

  constructor(stream: ServerHttp2Stream) {
    this.stream = stream
    stream.on("wantTrailers", () => this.stream.sendTrailers(toObject(this.trailers)))
  }

  private get usable(): boolean {
    return !this.stream.destroyed && !this.stream.closed
  }

  respond({ status, length, passed }: AnswerHead, lines: string, ended: boolean): void {
    const own = hasLength(status, length) ? ["content-length", String(length)] : []
    const fields = [":status", String(status), ...linesToFields(passed.text + lines), ...own]
    if (!this.usable) return
    if (status < 200) this.stream.additionalHeaders(toObject(fields) as never)
    else this.stream.respond(toObject(fields) as never, { endStream: ended, waitForTrailers: !ended })
  }
  write(bytes: Buffer, start: number, end: number): boolean {
    return this.usable ? this.stream.write(Buffer.from(bytes.subarray(start, end))) : true // they are valid in this turn only
  }
  end(trailers: string): boolean {
    this.trailers = linesToFields(trailers)
    if (this.usable && !this.stream.writableEnded) this.stream.end()
    return true
  }
  reset(code: number): void {
    // After a complete answer the code is NO_ERROR. The answer's own END_STREAM goes first, and in a TLS record of its own: Node's client hangs
    // when both come in one (seen with 24.21), curl 7.88 loses the answer.
    const close = () => setImmediate(() => this.stream.close(0))
    if (code !== 0) {
      if (this.usable) this.stream.close(code)
      return
    }
    if (this.stream.writableFinished) close()
    else this.stream.once("finish", close)
    this.stream.resume()
  }
  charge(): void {} // node:http2 has limits of its own
  pause(): void {
    this.stream.pause()
  }
  resume(): void {
    this.stream.resume()
  }
  asDuplex(): ServerHttp2Stream {
    return this.stream.removeAllListeners("data").pause()
  }
}

const trailerLines = (headers: IncomingHttpHeaders): string =>
  Object.entries(headers)
    .filter(([name]) => !name.startsWith(":"))
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value ?? ""]).map((one) => `${name}: ${one}\r\n`))
    .join("")

const onStream = (edge: Edge, peer: ClientPeer, stream: ServerHttp2Stream, flags: number, raw: ReadonlyArray<string>): void => {
  const ended = (flags & 1) !== 0
  const request = new Http2Request(edge, peer, new NodeStream(stream), ended, performance.now())
  let trailers = ""
  stream.on("error", () => request.onReset())
  stream.on("data", (piece: Buffer) => request.onData(piece))
  stream.on("trailers", (headers) => {
    const kept = readTrailers(`${trailerLines(headers)}\r\n`)
    trailers = typeof kept === "string" ? kept : ""
  })
  stream.on("end", () => request.onEnd(trailers))
  stream.on("drain", () => request.onDrain())
  stream.on("aborted", () => request.onReset())
  stream.on("close", () => request.onReset())
  request.start(readHttp2Fields(fieldsOf(raw), ended))
}

/** What a codec offers the listener. */
export interface Http2Codec {
  accept(socket: Socket, peer: ClientPeer): void
  drain(): void
  destroy(): void
}

export class NodeHttp2 implements Http2Codec {
  private readonly sessions = new Set<ServerHttp2Session>()
  private readonly edge: Edge

  constructor(edge: Edge) {
    this.edge = edge
  }

  /** Takes over a connection whose ALPN chose `h2`. */
  accept(socket: Socket, peer: ClientPeer): void {
    // node:http2 waits for this flag, which Node's own TLS server clears when the handshake is done; here it is done.
    Object.assign(socket.pause(), { secureConnecting: false })
    const session = performServerHandshake(socket, { settings, maxSessionMemory: 10, maxHeaderListPairs })
    this.sessions.add(session)
    session.setTimeout(this.edge.limits.idleMillis, () => session.close())
    session.on("stream", (stream, _headers, flags, raw) => onStream(this.edge, peer, stream, flags, raw as never))
    session.on("error", () => session.destroy())
    session.on("close", () => this.sessions.delete(session))
    if (this.edge.draining) session.close()
  }

  /** GOAWAY on every session; those without streams end at once. */
  drain(): void {
    for (const session of this.sessions) session.close()
  }

  destroy(): void {
    for (const session of this.sessions) session.destroy()
  }

  get size(): number {
    return this.sessions.size
  }
}
