/**
 * The client's side of one HTTP/1.1 exchange: writes the origin's answer in the edge's own framing.
 *
 * Owns: response head, body framing, the request's record. Leaves to `Http1Connection.ts`: the socket, the request's bytes, what comes next.
 */

import { performance } from "node:perf_hooks"
import type { Duplex } from "node:stream"
import { type AnswerWay, answerLines } from "../exchange/answerLines.ts"
import type { ExchangeClient, Failure, ResponseBody } from "../exchange/Exchange.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import { putText } from "../lineBytes.ts"
import { policyAnswer } from "../policy/errorPage.ts"
import type { Policy } from "../policy/Policy.ts"
import type { RequestId } from "../RequestId.ts"
import { AnswerHead } from "./AnswerHead.ts"
import { reasons, writeAnswer } from "./answers.ts"
import type { Http1Connection } from "./Http1Connection.ts"
import { openTunnel } from "./openTunnel.ts"
import { type Asker, type Recorded, recordOf } from "./recordOf.ts"

/** A piece smaller than this is copied: held, it would keep a buffer many times its size from being used again. */
const worthHolding = 16 * 1024
/** More than a kernel keeps for a client that reads nothing (four by Linux's tcp_wmem). */
const beyondKernels = 4.5 * 1024 * 1024
const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"

/** Bytes of the origin's buffer, which are valid in their turn. */
class Piece {
  readonly length: number
  private readonly bytes: Buffer
  private readonly start: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes
    this.start = start
    this.length = end - start
  }

  putInto(out: Buffer, at: number): number {
    return at + this.bytes.copy(out, at, this.start, this.start + this.length)
  }

  get view(): Buffer {
    return this.bytes.subarray(this.start, this.start + this.length)
  }
}

/** Texts have one code unit for each byte. */
type Part = string | AnswerHead | Piece

const join = (parts: ReadonlyArray<Part>, length: number): Buffer => {
  const joined = Buffer.allocUnsafe(length)
  let at = 0
  for (const part of parts) at = typeof part === "string" ? putText(joined, at, part) : part.putInto(joined, at)
  return joined
}

/** Whose request it is; ids are "" while that is not known. `way`: absent when no origin is asked. */
export interface ExchangeOwner {
  readonly connectionId: string
  readonly tenantId: string
  readonly policy: Policy
  readonly way?: AnswerWay
}

export class Http1Exchange implements ExchangeClient, Recorded {
  readonly head: RequestHead
  readonly requestId: RequestId
  readonly startedAt = performance.now()
  answeredAt = 0
  readonly connectionId: string
  readonly tenantId: string
  readonly policy: Policy
  private readonly way: AnswerWay | undefined
  status = 0
  code = ""
  bytesIn = 0
  bytesOut = 0
  private readonly connection: Http1Connection
  private chunked = false
  private parts: Array<Part> = []
  private held = 0
  private corked = false
  private continued = false
  /** When that came which is being read of the answer: its beginning, and often its end. 0: nothing is. */
  private cameAt = 0
  private endedAt = 0

  constructor(connection: Http1Connection, head: RequestHead, requestId: RequestId, owner: ExchangeOwner) {
    this.connection = connection
    this.head = head
    this.requestId = requestId
    this.connectionId = owner.connectionId
    this.tenantId = owner.tenantId
    this.policy = owner.policy
    this.way = owner.way
  }

  get asker(): Asker {
    return { peer: this.connection.peer, protocol: this.head.minor === 0 ? "http/1.0" : "http/1.1" }
  }

  cork(): void {
    this.corked = true
    this.cameAt = performance.now()
  }

  /** Everything of this turn in one buffer and one write. A long piece that may be held goes by itself: copying it would cost more. */
  uncork(): boolean {
    this.corked = false
    this.cameAt = 0
    const { parts } = this
    const { origin, socket } = this.connection
    if (parts.length > 0) {
      this.parts = []
      const long = parts.length === 1 && parts[0] instanceof Piece && this.held >= worthHolding ? parts[0] : undefined
      const release = long && origin?.hold()
      if (long === undefined || release === undefined) socket.write(join(parts, this.held))
      else socket.write(long.view, release)
      this.held = 0
    }
    if (!socket.writableNeedDrain) {
      if (socket.readableEnded) this.connection.limitExchange() // what goes out to a client that closed its side is taken
      return true
    }
    this.connection.waitForDrain()
    return false
  }

  get steady(): boolean {
    return this.connection.socket.bytesWritten > beyondKernels
  }

  private put(part: Part): void {
    this.parts.push(part)
    this.held += part.length
    if (!this.corked) this.uncork()
  }

  proceed(): void {
    if (this.continued || this.status !== 0 || !this.head.expectContinue || this.bytesIn > 0) return // RFC 9110 §15.2: before the final answer only
    this.continued = true
    this.put(continueLine)
  }

  interim(head: ResponseHead): void {
    if (this.status !== 0 || this.head.minor === 0) return
    this.put(`HTTP/1.1 ${head.status} ${head.reason}\r\n${head.passed.text}\r\n`)
  }

  respond(head: ResponseHead, body: ResponseBody): void {
    this.status = head.status
    this.answeredAt = this.cameAt || performance.now()
    const { connection } = this
    if (!connection.requestComplete || connection.edge.draining) connection.closeAfter = true
    this.chunked = body === "stream" && this.head.minor === 1
    if (body === "stream" && !this.chunked) connection.closeAfter = true
    const lines = answerLines(head, this.way!, this.head)
    this.put(new AnswerHead(head, lines, { chunked: this.chunked, close: connection.closeAfter }))
  }

  data(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start
    this.bytesOut += length
    if (this.chunked) this.put(`${length.toString(16)}\r\n`)
    this.put(new Piece(bytes, start, end))
    if (this.chunked) this.put("\r\n")
    return !this.connection.socket.writableNeedDrain
  }

  end(trailers: string): void {
    this.endedAt = this.cameAt
    if (this.chunked) this.put(`0\r\n${trailers}\r\n`)
    this.uncork() // before the next request of a pipeline is answered
    this.connection.exchangeDone(this)
  }

  upgrade(head: ResponseHead, origin: Duplex, rest: Buffer): void {
    this.status = 101
    this.answeredAt = performance.now()
    this.uncork()
    const { edge, socket: client } = this.connection
    const fromClient = this.connection.becomeTunnel()
    client.write(`HTTP/1.1 101 ${reasons[101]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${head.passed.text}\r\n`, "latin1")
    openTunnel(edge, this, this.asker, { client, origin, fromClient, fromOrigin: rest })
  }

  drained(): void {
    this.connection.resumeReading()
  }

  fail(failure: Failure): void {
    this.code = failure.code
    const { connection } = this
    this.uncork()
    if (this.status !== 0) {
      connection.destroy() // the head is out: only a broken connection tells the client that the rest is missing
      return
    }
    this.status = failure.status
    if (!connection.requestComplete || connection.edge.draining) connection.closeAfter = true
    const answer = policyAnswer(this.policy, this.head, failure.status, this.requestId)
    this.put(writeAnswer(answer, { head: this.head.method === "HEAD", close: connection.closeAfter }))
    this.uncork()
    connection.exchangeDone(this)
  }

  /** Its line in the books, once. */
  record(): void {
    this.connection.edge.observer.requestDone(recordOf(this, this.asker, this.endedAt || performance.now()))
  }
}
