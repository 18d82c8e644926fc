/**
 * Bytes both ways between a client and its origin after an upgrade (WebSocket).
 *
 * Owns: back-pressure and half-closing (`pipe`), the idle limit, ending both when one is gone. Leaves to nobody: the edge does not look inside.
 */
import type { Duplex } from "node:stream"
import type { Deadlines, Watched } from "../Deadlines.ts"

export class Tunnel implements Watched {
  deadline = 0
  private readonly client: Duplex
  private readonly origin: Duplex
  private readonly options: { readonly deadlines: Deadlines; readonly idleMillis: number }

  constructor(client: Duplex, origin: Duplex, options: { readonly deadlines: Deadlines; readonly idleMillis: number }) {
    this.client = client
    this.origin = origin
    this.options = options
  }

  /** `fromOrigin` and `fromClient`: bytes that were read already. */
  start(fromOrigin: Buffer, fromClient: Buffer): void {
    const { client, origin } = this
    this.moved()
    this.options.deadlines.watch(this)
    if (fromOrigin.length > 0) client.write(fromOrigin)
    if (fromClient.length > 0) origin.write(fromClient)
    for (const [from, to] of [
      [client, origin],
      [origin, client]
    ] as const) {
      from.on("data", () => this.moved())
      from.on("error", () => this.close())
      from.on("close", () => (from.readableEnded ? to.end() : this.close()))
      from.pipe(to)
    }
    client.resume()
    origin.resume()
  }

  private moved(): void {
    this.deadline = this.options.deadlines.now + this.options.idleMillis
  }

  onDeadline(): void {
    this.close()
  }

  close(): void {
    this.options.deadlines.forget(this)
    this.client.destroy()
    this.origin.destroy()
  }
}
