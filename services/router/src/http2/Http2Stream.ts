/**
 * One stream as `Http2Request.ts` sees it, whichever codec carries it.
 *
 * Owns: the interface. Leaves to `OwnStream.ts` and `nodeHttp2.ts`: frames, windows, HPACK.
 */
import type { Duplex } from "node:stream"
import type { OriginExchange } from "../exchange/Exchange.ts"
import { noLines } from "../http1/PassedLines.ts"
import type { ResponseHead } from "../http1/responseHead.ts"

/** What an answer begins with; an origin's head is one. */
export type AnswerHead = Pick<ResponseHead, "status" | "length" | "passed">

/** One without lines or length. */
export const bareHead = (status: number): AnswerHead => ({ status, length: -1, passed: noLines })

/** What a codec offers for one stream. */
export interface Http2Stream {
  /** Also a 1xx, which is not `ended`. `lines`: HTTP/1 field lines behind those of the head, each with its CRLF, valid ones only. */
  respond(head: AnswerHead, lines: string, ended: boolean): void
  /** `bytes` from `start` to `end`. False: wait for `onDrain`. What has to wait is copied, or held where its `source` can do that. */
  write(bytes: Buffer, start: number, end: number, source?: Pick<OriginExchange, "hold">): boolean
  /** `trailers`: lines as in `respond`. False: some of the answer waits for the client; `onSent` or `onReset` tells what becomes of it. */
  end(trailers: string): boolean
  /** RFC 9113 §7 error code. */
  reset(code: number): void
  /** Asking for this over and over ends the connection (E9). */
  charge(): void
  pause(): void
  resume(): void
  /** The stream's bytes both ways, for a tunnel (RFC 8441). From now on what the client sends goes there alone, and waits until it is read. */
  asDuplex(): Duplex
}
