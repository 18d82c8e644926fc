/**
 * Bytes both ways between a client and its origin after an upgrade (WebSocket), over either version of HTTP.
 *
 * Owns: back-pressure and half-closing (`pipe`), counting, the idle limit, ending both when one is gone. Leaves to nobody: the edge does not look
 * inside. Built against: traffic that is known only when a tunnel of hours is over: every piece is told as it passes.
 */
import type { Duplex } from "node:stream"
import type { Deadlines, Watched } from "../Deadlines.ts"

export interface TunnelOptions {
  readonly deadlines: Deadlines
  readonly idleMillis: number
  /** So many bytes came from the client, and from the origin. */
  readonly moved: (fromClient: number, fromOrigin: number) => void
  /** Called once, when both ends are closed. */
  readonly over: () => void
}

export class Tunnel implements Watched {
  deadline = 0
  place = 0
  private isOver = false
  private readonly client: Duplex
  private readonly origin: Duplex
  private readonly options: TunnelOptions

  constructor(client: Duplex, origin: Duplex, options: TunnelOptions) {
    this.client = client
    this.origin = origin
    this.options = options
  }

  /** `fromOrigin` and `fromClient`: bytes that were read already. */
  start(fromOrigin: Buffer, fromClient: Buffer): void {
    const { client, origin } = this
    this.options.deadlines.watch(this)
    this.moved(fromClient.length, fromOrigin.length)
    if (fromOrigin.length > 0) client.write(fromOrigin)
    if (fromClient.length > 0) origin.write(fromClient)
    client.on("data", (piece: Buffer) => this.moved(piece.length, 0))
    origin.on("data", (piece: Buffer) => this.moved(0, piece.length))
    for (const [from, to] of [
      [client, origin],
      [origin, client]
    ] as const) {
      from.on("error", () => this.close())
      // What it said to its end is still delivered; nobody is left for what the other one says.
      from.on("close", () => (from.readableEnded ? to.end(() => this.close()) : this.close()))
      from.pipe(to)
    }
    client.resume()
    origin.resume()
  }

  private moved(fromClient: number, fromOrigin: number): void {
    const { deadlines, idleMillis, moved } = this.options
    this.deadline = deadlines.now + idleMillis
    moved(fromClient, fromOrigin)
  }

  onDeadline(): void {
    this.close()
  }

  private close(): void {
    this.client.destroy()
    this.origin.destroy()
    if (this.isOver) return
    this.isOver = true
    this.options.deadlines.forget(this)
    this.options.over()
  }
}
