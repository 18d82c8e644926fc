/**
 * Takes the chunked coding off a body, byte by byte strict (RFC 9112 §7.1), whatever way the bytes are cut into segments.
 *
 * Owns: chunk sizes, extensions (read, checked, dropped), the trailer section's bytes. Leaves to `trailers.ts`: what trailers mean; to its user:
 * framing the data anew. Built against: a chunk line that a lenient reader ends elsewhere (bare LF, CR or NUL in an extension, a size with sign,
 * prefix or space), and sizes that overflow.
 */
import { maxHeadBytes } from "./fields.ts"
import { type Refusal, refuse } from "./Refusal.ts"

/** Bytes of one chunk's line, extension included. */
const maxLineBytes = 1024
/** Bytes of all extensions of a body, so that tiny chunks with long extensions can't keep the edge busy for nothing. */
const maxExtensionBytes = 16 * 1024

const plainSize = /^[0-9A-Fa-f]{1,13}$/
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
// RFC 9112 §7.1.1: *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), BWS being SP or HTAB.
const sizeWithExtensions = new RegExp(
  `^([0-9A-Fa-f]{1,13})(?:[ \\t]*;[ \\t]*${token}(?:[ \\t]*=[ \\t]*(?:${token}|"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"))?)+$`
)

type State = "size" | "data" | "after-data" | "trailers" | "done"

export interface ChunkSink {
  /** A piece of the body, never empty. Valid for as long as the segment is. */
  readonly onData: (piece: Buffer) => void
}

export class ChunkedReader {
  private state: State = "size"
  private line = ""
  /** The line ends with a CR so far, which only an LF may follow. */
  private afterCr = false
  private remaining = 0
  private extensionBytes = 0
  private section = ""

  /** The trailer section with its final empty line, latin1; complete when done. */
  get trailers(): string {
    return `${this.section}\r\n`
  }

  get done(): boolean {
    return this.state === "done"
  }

  /**
   * Reads from `segment`, `start` on. Returns where the next byte that is not this body's stands: `segment.length` unless `done`.
   */
  read(segment: Buffer, start: number, sink: ChunkSink): number | Refusal {
    let at = start
    while (at < segment.length && this.state !== "done") {
      if (this.state === "data") {
        const end = Math.min(segment.length, at + this.remaining)
        sink.onData(segment.subarray(at, end))
        this.remaining -= end - at
        at = end
        if (this.remaining === 0) this.state = "after-data"
        continue
      }
      const next = this.readLine(segment, at)
      if (typeof next !== "number") return next
      at = next
      if (segment[at - 1] !== 10) return at
      const refusal = this.endLine()
      if (refusal !== undefined) return refusal
    }
    return at
  }

  /** Adds bytes to the line up to and with its LF, refusing what can't be part of a proper line. Only what came is looked at. */
  private readLine(segment: Buffer, at: number): number | Refusal {
    const lf = segment.indexOf(10, at)
    const end = lf < 0 ? segment.length : lf + 1
    const limit = this.state === "trailers" ? maxHeadBytes : this.state === "after-data" ? 2 : maxLineBytes
    const kept = this.state === "trailers" ? this.section.length : 0
    if (this.line.length + kept + end - at > limit) return refuse(this.state === "trailers" ? 431 : 400, "chunk-line-too-long")
    const came = segment.toString("latin1", at, end)
    const piece = this.afterCr ? `\r${came}` : came
    const cr = piece.indexOf("\r")
    if (cr >= 0 && cr < piece.length - 1 && piece.charCodeAt(cr + 1) !== 10) return refuse(400, "chunk-bare-cr")
    if (lf >= 0 && !piece.endsWith("\r\n")) return refuse(400, "chunk-bare-lf")
    if (piece.includes("\0")) return refuse(400, "chunk-nul")
    if (this.state === "after-data" && cr !== 0) return refuse(400, "chunk-data-too-long")
    this.line += came
    this.afterCr = lf < 0 && cr >= 0
    return end
  }

  private endLine(): Refusal | undefined {
    const line = this.line.slice(0, -2)
    this.line = ""
    if (this.state === "after-data") {
      this.state = "size"
      return undefined
    }
    if (this.state === "size") return this.takeSize(line)
    if (line === "") this.state = "done"
    else this.section += `${line}\r\n`
    return undefined
  }

  private takeSize(line: string): Refusal | undefined {
    let digits = line
    if (!plainSize.test(line)) {
      this.extensionBytes += line.length
      const parts = sizeWithExtensions.exec(line)
      if (parts === null) return refuse(400, "chunk-size")
      if (this.extensionBytes > maxExtensionBytes) return refuse(400, "chunk-extensions")
      digits = parts[1]!
    }
    this.remaining = Number.parseInt(digits, 16)
    this.state = this.remaining === 0 ? "trailers" : "data"
    return undefined
  }
}
