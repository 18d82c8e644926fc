/**
 * The open streams of one connection, in no order.
 *
 * Owns: the list. Never more than `maxStreams`: going through them is quicker than what `Roster.ts` does, which reads a place of every kind of member.
 */
import type { OwnStream } from "./OwnStream.ts"

export class OpenStreams {
  private readonly streams: Array<OwnStream> = []

  get size(): number {
    return this.streams.length
  }

  has(stream: OwnStream): boolean {
    return this.streams.includes(stream)
  }

  find(id: number): OwnStream | undefined {
    return this.streams.find((stream) => stream.id === id)
  }

  /** One that is not among them. */
  add(stream: OwnStream): void {
    this.streams.push(stream)
  }

  /** False: it was not there. */
  remove(stream: OwnStream): boolean {
    const at = this.streams.indexOf(stream)
    if (at < 0) return false
    const last = this.streams.pop()!
    if (last !== stream) this.streams[at] = last
    return true
  }

  /** All of them as they are now, to be walked through while some go. */
  list(): Array<OwnStream> {
    return this.streams.slice()
  }

  clear(): void {
    this.streams.length = 0
  }
}
