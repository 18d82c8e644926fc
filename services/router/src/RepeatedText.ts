/**
 * A text that is joined of parts, and mostly wanted again and again.
 *
 * Owns: putting it in one piece when it is wanted for the second time: V8 would join its parts anew for each request, and they would keep alive what
 * they were cut from. Not for the first, which is the only one on many connections. Leaves to `RepeatedBytes.ts`: what goes into a buffer. One code unit
 * for each byte.
 */
export class RepeatedText {
  private text: string
  private wanted = false
  private flat = false

  constructor(text: string) {
    this.text = text
  }

  get(): string {
    if (this.wanted && !this.flat) {
      this.flat = true
      this.text = flat(this.text)
    }
    this.wanted = true
    return this.text
  }
}

const flat = (text: string): string => Buffer.from(text, "latin1").toString("latin1")
