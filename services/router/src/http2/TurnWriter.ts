/**
 * Collects what one connection sends within a turn of the event loop, and writes it once.
 *
 * Owns: the order of frames, one buffer and one TLS write per turn. That is where HTTP/2 wins: sixteen answers cost one record, one system call.
 */
import type { Socket } from "node:net"

/** More than this is written before the turn ends. */
const eagerBytes = 256 * 1024

const dirty = new Set<TurnWriter>()
let scheduled = false

const flushAll = (): void => {
  scheduled = false
  for (const writer of dirty) writer.flush()
  dirty.clear()
}

/** Where a DATA frame's header stands, as long as it was not written. */
export interface Place {
  readonly turn: number
  readonly index: number
}

export class TurnWriter {
  /** The socket has more than it can take: only control frames should follow until it drains. */
  blocked = false
  private readonly socket: Socket
  private parts: Array<string | Buffer> = []
  private bytes = 0
  private turn = 0

  constructor(socket: Socket) {
    this.socket = socket
  }

  /** Text is latin1. */
  put(part: string | Buffer): Place {
    if (this.parts.length === 0) {
      dirty.add(this)
      if (!scheduled) {
        scheduled = true
        setImmediate(flushAll)
      }
    }
    this.bytes += part.length
    const place = { turn: this.turn, index: this.parts.push(part) - 1 }
    if (this.bytes >= eagerBytes) this.flush()
    return place
  }

  /** Replaces a text of the same length; false when it has been written already. */
  replace(place: Place, text: string): boolean {
    if (place.turn !== this.turn) return false
    this.parts[place.index] = text
    return true
  }

  flush(): void {
    if (this.bytes === 0) return
    const { parts, bytes } = this
    this.parts = []
    this.bytes = 0
    this.turn++
    if (this.socket.destroyed || this.socket.writableEnded) return
    const out = Buffer.allocUnsafe(bytes)
    let at = 0
    for (const part of parts) {
      if (typeof part === "string") out.write(part, at, "latin1")
      else out.set(part, at)
      at += part.length
    }
    if (!this.socket.write(out)) this.blocked = true
  }
}
