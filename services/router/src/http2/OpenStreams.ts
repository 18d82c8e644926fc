/**
 * The open streams of one connection.
 *
 * Owns: finding, adding and removing them. Built against: what a Map costs that is filled and emptied all the time. When V8 makes it a new table, the old
 * one points to the new one; once a single old table was promoted, every later one is kept alive with the requests that stood in it, until
 * the next full collection: every young collection then copies megabytes of finished requests. An array has no such chain.
 */
import type { OwnStream } from "./OwnStream.ts"

export class OpenStreams {
  private readonly open: Array<OwnStream> = []

  get size(): number {
    return this.open.length
  }

  /** By its id; needed for what follows a request's head only, and there are never many. */
  find(id: number): OwnStream | undefined {
    const { open } = this
    for (let at = open.length - 1; at >= 0; at--) if (open[at]!.id === id) return open[at]
    return undefined
  }

  has(stream: OwnStream): boolean {
    return this.open[stream.place] === stream
  }

  add(stream: OwnStream): void {
    stream.place = this.open.push(stream) - 1
  }

  /** False: it was not there. */
  remove(stream: OwnStream): boolean {
    if (!this.has(stream)) return false
    const last = this.open.pop()!
    if (last === stream) return true
    last.place = stream.place
    this.open[last.place] = last
    return true
  }

  /** All of them as they are now, to be walked through while some end. */
  list(): Array<OwnStream> {
    return this.open.slice()
  }

  clear(): void {
    this.open.length = 0
  }
}
