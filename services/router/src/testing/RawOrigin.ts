/**
 * An origin for tests that answers with bytes it is given, and remembers the bytes it got.
 *
 * Owns: a listening socket and a script per connection. Built for hostile cases that no HTTP server would produce.
 */
import { createServer, type Server, type Socket } from "node:net"

export type Script = (socket: Socket, received: string, connection: number) => void

export class RawOrigin {
  /** All bytes received, per connection. */
  readonly received: Array<string> = []
  readonly sockets: Array<Socket> = []
  url = ""
  private readonly server: Server

  private constructor(script: Script) {
    this.server = createServer((socket) => {
      const connection = this.received.push("") - 1
      this.sockets.push(socket)
      socket.on("error", () => {})
      socket.on("data", (piece: Buffer) => {
        this.received[connection] += piece.toString("latin1")
        script(socket, piece.toString("latin1"), connection)
      })
    })
  }

  static start(script: Script): Promise<RawOrigin> {
    const origin = new RawOrigin(script)
    return new Promise((resolve) =>
      origin.server.listen(0, "127.0.0.1", () => {
        const bound = origin.server.address()
        origin.url = `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`
        resolve(origin)
      })
    )
  }

  /** Answers each complete request head with these bytes. */
  static answering(bytes: string): Promise<RawOrigin> {
    return RawOrigin.start((socket, piece) => {
      if (piece.includes("\r\n\r\n")) socket.write(bytes, "latin1")
    })
  }

  /** Resolves when what came on some connection is `enough`. */
  async until(enough: (text: string) => boolean): Promise<void> {
    while (!this.received.some(enough)) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}

/** A complete answer with a body. */
export const ok = (body: string, headers = ""): string => `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`
