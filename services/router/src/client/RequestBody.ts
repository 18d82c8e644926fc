/**
 * Takes one request's body off the connection's bytes, by its own framing.
 *
 * Owns: counting (Content-Length) or decoding (chunked). Leaves to the exchange: sending it on. Built against: bytes of the next request
 * taken for this one's body, or the other way round.
 */
import { ChunkedReader } from "../http1/ChunkedReader.ts"
import type { Refusal } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import { readTrailers } from "../http1/trailers.ts"

export interface BodySink {
  /** False: no more should be read until there is room. */
  write(piece: Buffer): boolean
  end(trailers: string): void
}

export class RequestBody {
  complete: boolean
  private remaining: number
  private readonly chunked: ChunkedReader | undefined

  constructor(head: RequestHead) {
    this.remaining = Math.max(0, head.length)
    this.chunked = head.chunked ? new ChunkedReader() : undefined
    this.complete = !head.chunked && this.remaining === 0
  }

  /**
   * Feeds a segment. Returns how many of its bytes were this body's (all of them unless `complete`), negative when the sink has no more
   * room (the bytes were taken all the same), or why the body is refused.
   */
  read(segment: Buffer, sink: BodySink): { readonly taken: number; readonly room: boolean } | Refusal {
    let room = true
    if (this.chunked === undefined) {
      const piece = segment.length <= this.remaining ? segment : segment.subarray(0, this.remaining)
      this.remaining -= piece.length
      if (piece.length > 0) room = sink.write(piece)
      if (this.remaining === 0) this.finish(sink, "")
      return { taken: piece.length, room }
    }
    const next = this.chunked.read(segment, 0, {
      onData: (piece) => {
        room = sink.write(piece)
      }
    })
    if (typeof next !== "number") return next
    if (!this.chunked.done) return { taken: next, room }
    const trailers = readTrailers(this.chunked.trailers)
    if (typeof trailers !== "string") return trailers
    this.finish(sink, trailers)
    return { taken: next, room }
  }

  private finish(sink: BodySink, trailers: string): void {
    this.complete = true
    sink.end(trailers)
  }
}
