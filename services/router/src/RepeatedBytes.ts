/**
 * A text that is joined of parts, and mostly put into buffers again and again.
 *
 * Owns: keeping it as bytes from the second time on: V8 would join its parts anew each time. Not from the first, which is the only one on many
 * connections. One code unit for each byte.
 */
import { putText } from "./lineBytes.ts"

export class RepeatedBytes {
  readonly length: number
  private text: string
  private wanted = false
  private bytes: Buffer | undefined

  constructor(text: string) {
    this.text = text
    this.length = text.length
  }

  /** `out` has room; returns the place behind it. */
  putInto(out: Buffer, start: number): number {
    if (!this.wanted) {
      this.wanted = true
      return putText(out, start, this.text)
    }
    this.bytes ??= this.toBytes()
    out.set(this.bytes, start)
    return start + this.length
  }

  /** In memory of its own: it lasts, and would keep all of a slab. */
  private toBytes(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(this.text.length)
    bytes.write(this.text, "latin1")
    this.text = ""
    return bytes
  }
}
