/**
 * An origin whose judge of what arrives is llhttp, strict, and none of the edge's own readers: a misreading common to both sides would not show.
 *
 * Owns: reading requests with node:http and remembering them, and the bytes that they came in. Leaves to the tests: what they should have been.
 */
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"

export interface ReadRequest {
  readonly method: string
  readonly target: string
  readonly host: string
  /** One code unit per byte, as all that follows. */
  readonly body: string
  /** `name: value` with the name in lower case, in the order in which they came. */
  readonly fields: ReadonlyArray<string>
  readonly trailers: ReadonlyArray<string>
}

const linesOf = (raw: ReadonlyArray<string>): ReadonlyArray<string> =>
  raw.flatMap((text, at) => (at % 2 === 0 ? [`${text.toLowerCase()}: ${raw[at + 1]}`] : []))

export class LlhttpOrigin {
  url = ""
  /** Those that arrived whole, in the order of their ends. */
  readonly requests: Array<ReadRequest> = []
  /** What llhttp does not take for a request, by its code. */
  readonly refused: Array<string> = []
  /** As they came, latin1, of all connections. */
  bytes = ""
  private readonly sockets = new Set<Socket>()
  private readonly server: Server

  private constructor() {
    const options = { insecureHTTPParser: false, requireHostHeader: true, maxHeaderSize: 128 * 1024, keepAliveTimeout: 60_000 }
    this.server = createServer(options, (request, response) => {
      const pieces: Array<Buffer> = []
      request.on("data", (piece: Buffer) => pieces.push(piece))
      request.on("end", () => {
        this.remember(request, Buffer.concat(pieces))
        response.end(`served ${request.url}`)
      })
    })
    this.server.maxHeadersCount = 0
    this.server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (error.code !== "ECONNRESET") this.refused.push(error.code ?? error.message) // the edge broke off
      socket.destroy()
    })
    this.server.on("connection", (socket) => {
      this.sockets.add(socket)
      socket.on("close", () => this.sockets.delete(socket))
      socket.on("data", (piece: Buffer) => {
        this.bytes += piece.toString("latin1")
      })
    })
  }

  static async start(): Promise<LlhttpOrigin> {
    const origin = new LlhttpOrigin()
    await new Promise<void>((resolve) => origin.server.listen(0, "127.0.0.1", resolve))
    origin.url = `http://127.0.0.1:${(origin.server.address() as AddressInfo).port}`
    return origin
  }

  private remember(request: IncomingMessage, body: Buffer): void {
    this.requests.push({
      method: request.method ?? "",
      target: request.url ?? "",
      host: request.headers.host ?? "",
      body: body.toString("latin1"),
      fields: linesOf(request.rawHeaders),
      trailers: linesOf(request.rawTrailers)
    })
  }

  forget(): void {
    this.requests.length = 0
    this.refused.length = 0
    this.bytes = ""
  }

  /** Forgets what came, and ends the connections that it came on. */
  clear(): void {
    this.forget()
    for (const socket of this.sockets) socket.destroy()
  }

  stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}
