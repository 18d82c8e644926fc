/**
 * The open streams of one connection, in no order.
 *
 * Owns: the list, and each stream's place in it. Never more than `maxStreams`, so to look for an id is to go through them. Not a `Roster`: that serves
 * members of many kinds, which V8 reads more slowly.
 */
import type { OwnStream } from "./OwnStream.ts"

export class OpenStreams {
  private readonly streams: Array<OwnStream> = []

  get size(): number {
    return this.streams.length
  }

  has(stream: OwnStream): boolean {
    return this.streams[stream.place] === stream
  }

  find(id: number): OwnStream | undefined {
    return this.streams.find((stream) => stream.id === id)
  }

  /** One that is not among them. */
  add(stream: OwnStream): void {
    stream.place = this.streams.push(stream) - 1
  }

  /** False: it was not there. */
  remove(stream: OwnStream): boolean {
    if (!this.has(stream)) return false
    const last = this.streams.pop()!
    if (last === stream) return true
    last.place = stream.place
    this.streams[last.place] = last
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
