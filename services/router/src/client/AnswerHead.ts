/**
 * The head of an origin's answer as an HTTP/1 client gets it, written straight into the bytes that go out.
 *
 * Owns: its form, with the edge's own framing. Leaves to `answerLines.ts`: which lines there are. Valid as long as the origin's lines are
 * (`PassedLines.ts`). Built against: a head that V8 joins of texts, only to copy it once more.
 */
import { hasLength } from "../exchange/answerLines.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import { digitsOf, putDigits, putNumber, putText } from "../lineBytes.ts"

const version = "HTTP/1.1 "
const statusDigits = 3
const space = 32
const crlf = "\r\n"
const contentLength = Buffer.from("Content-Length: ")

export class AnswerHead {
  /** In bytes. */
  readonly length: number
  private readonly head: ResponseHead
  /** Behind the origin's, with the empty line. */
  private readonly lines: string
  private readonly framed: boolean

  /** `lines`: behind the origin's, each with its CRLF. */
  constructor(head: ResponseHead, lines: string, { chunked, close }: { readonly chunked: boolean; readonly close: boolean }) {
    this.head = head
    this.lines = lines + (chunked ? "Transfer-Encoding: chunked\r\n" : "") + (close ? "Connection: close\r\n" : "") + crlf
    this.framed = hasLength(head.status, head.length)
    const first = version.length + statusDigits + 1 + head.reason.length + crlf.length
    const framing = this.framed ? contentLength.length + digitsOf(head.length) + crlf.length : 0
    this.length = first + head.passed.length + framing + this.lines.length
  }

  /** `out` has room; returns the place behind it. */
  putInto(out: Buffer, start: number): number {
    const { length, passed, reason, status } = this.head
    let at = putDigits(out, putText(out, start, version), status, statusDigits)
    out[at++] = space
    at = putText(out, putText(out, at, reason), crlf)
    at = passed.putInto(out, at)
    if (this.framed) {
      out.set(contentLength, at)
      at = putText(out, putNumber(out, at + contentLength.length, length), crlf)
    }
    return putText(out, at, this.lines)
  }
}
