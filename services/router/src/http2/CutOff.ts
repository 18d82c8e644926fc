/**
 * Streams of one connection that the edge reset before the client had ended them.
 *
 * Built against: DATA and trailers that were under way when the edge reset their stream, and are an error on any other closed one (RFC 9113 §5.1). Only
 * the latest are remembered: while no more than the allowed number is open, a new stream is opened behind the last frame of one long before it.
 */
import { resetFrame } from "./frames.ts"
import type { TurnWriter } from "./TurnWriter.ts"

/** Twice as many as may be open at a time. */
const maxRemembered = 256

export class CutOff {
  private ids: Set<number> | undefined

  has(id: number): boolean {
    return this.ids?.has(id) ?? false
  }

  /** `ended`: the client has sent all of the stream. */
  reset(writer: TurnWriter, id: number, code: number, ended: boolean): void {
    writer.put(resetFrame(id, code))
    if (ended) return
    this.ids ??= new Set()
    if (this.ids.size >= maxRemembered) this.ids.delete(this.ids.values().next().value!)
    this.ids.add(id)
  }
}
