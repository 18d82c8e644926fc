/**
 * Runs the pure readers over one message, as a connection does: head, then body, to the last byte.
 *
 * Owns: the way from bytes to a verdict without sockets, for tests and fuzzing.
 */
import { HeadBuffer } from "../../client/HeadBuffer.ts"
import { RequestBody } from "../../client/RequestBody.ts"
import { isRefusal, type Refusal } from "../Refusal.ts"
import type { RequestHead } from "../requestHead.ts"

export interface Judged {
  readonly head: RequestHead
  readonly body: string
  readonly trailers: string
  /** Bytes behind the message. */
  readonly rest: string
}

/** The verdict, or `unfinished` when the bytes are the beginning of a message. `cut`: sizes of the segments that the bytes come in. */
export const judge = (bytes: string, cut: number = bytes.length): Judged | Refusal | "unfinished" => {
  const all = Buffer.from(bytes, "latin1")
  const heads = new HeadBuffer()
  let at = 0
  let head: ReturnType<HeadBuffer["take"]>
  do {
    if (at >= all.length) return "unfinished"
    heads.add(all.subarray(at, at + cut))
    at += cut
    head = heads.take()
  } while (head === undefined)
  if (isRefusal(head)) return head
  return judgeBody(head, heads, all.subarray(at), cut)
}

const judgeBody = (head: RequestHead, heads: HeadBuffer, following: Buffer, cut: number): Judged | Refusal | "unfinished" => {
  const body = new RequestBody(head)
  const pieces: Array<Buffer> = []
  let trailers = ""
  const sink = {
    write: (piece: Buffer) => pieces.push(piece) > 0,
    end: (lines: string) => {
      trailers = lines
    }
  }
  let segment = heads.rest()
  let at = 0
  while (!body.complete) {
    if (segment.length === 0) {
      if (at >= following.length) return "unfinished"
      segment = following.subarray(at, at + cut)
      at += cut
    }
    const result = body.read(segment, sink)
    if (isRefusal(result)) return result
    segment = segment.subarray(result.taken)
  }
  const rest = Buffer.concat([segment, following.subarray(at)]).toString("latin1")
  return { head, body: Buffer.concat(pieces).toString("latin1"), trailers, rest }
}
