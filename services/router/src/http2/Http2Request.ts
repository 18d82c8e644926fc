/**
 * One HTTP/2 request and its answer, whichever codec carries the stream.
 *
 * Owns: the request's verdict, its body's length, the answer's fields. Leaves to the codec (`nodeHttp2.ts`): frames, flow control, HPACK.
 * Built against: a body longer or shorter than its Content-Length (RFC 9113 §8.1.1), or DATA before an upgrade is agreed on: either would be read
 * by the origin as a second request.
 */

import { randomBytes } from "node:crypto"
import { performance } from "node:perf_hooks"
import type { Duplex } from "node:stream"
import type { Answer } from "../client/answers.ts"
import { type ClientPeer, decideTls, type Edge, type ProxyDecision, unreadAnswer } from "../client/Edge.ts"
import { openOrigin } from "../client/openOrigin.ts"
import { openTunnel } from "../client/openTunnel.ts"
import { type Recorded, recordOf } from "../client/recordOf.ts"
import { answerLines } from "../exchange/answerLines.ts"
import type { ExchangeClient, Failure, OriginExchange, ResponseBody } from "../exchange/Exchange.ts"
import { dateLine } from "../http1/dateLine.ts"
import { noLines } from "../http1/PassedLines.ts"
import { isRefusal, type Refusal } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import { nobody, policyAnswer } from "../policy/errorPage.ts"
import { noPolicy } from "../policy/Policy.ts"
import type { RequestId } from "../RequestId.ts"
import { bareHead, type Http2Stream } from "./Http2Stream.ts"
import { isMalformed } from "./readFields.ts"

const protocolError = 1
const internalError = 2
const continueMillis = 1000

export class Http2Request implements ExchangeClient, Recorded {
  private readonly edge: Edge
  private readonly peer: ClientPeer
  private readonly stream: Http2Stream
  readonly requestId: RequestId
  readonly startedAt: number
  answeredAt = 0
  /** When that came which is being read of the answer: its beginning, and often its end. 0: nothing is. */
  private cameAt = 0
  head: RequestHead | undefined
  private origin: OriginExchange | undefined
  private way: ProxyDecision | undefined
  /** Of a request to upgrade: whatever the client sends waits in there, for the tunnel or for nobody. */
  private tunnelEnd: Duplex | undefined
  connectionId = ""
  tenantId = ""
  bytesIn = 0
  bytesOut = 0
  status = 0
  code = ""
  private requestEnded: boolean
  /** The answer is complete, whether or not all of it has gone out; then it is recorded. */
  private over = false
  private recorded = false

  /** `startedAt`: when its head came, of `performance.now`. */
  constructor(edge: Edge, peer: ClientPeer, stream: Http2Stream, ended: boolean, startedAt: number) {
    this.edge = edge
    this.peer = peer
    this.stream = stream
    this.startedAt = startedAt
    this.requestEnded = ended
    this.requestId = edge.newRequestId()
  }

  /** With a refusal: the message becomes no request. */
  start(head: RequestHead | Refusal): void {
    this.edge.observer.requestStarted()
    if (isRefusal(head)) {
      this.code = head.code
      this.answer(unreadAnswer(this.edge, this.peer, head.status, this.requestId), "", isMalformed(head))
      return
    }
    this.head = head
    const decision = decideTls(this.edge, this.peer, head, this.requestId)
    this.connectionId = decision.entry?.connection_id ?? ""
    this.tenantId = decision.entry?.tenant_id ?? ""
    if ("answer" in decision) {
      this.code = decision.code
      if (decision.afterMillis) setTimeout(() => this.over || this.answer(decision.answer, head.method), decision.afterMillis)
      else this.answer(decision.answer, head.method)
      // HTTP/1.1 would close: what was asked for is not to be had on this connection.
      if (decision.close) this.stream.charge()
      return
    }
    this.forward(head, decision)
  }

  private forward(asked: RequestHead, decision: ProxyDecision): void {
    this.way = decision
    // RFC 8441 §5: HTTP/2 does without the key that an HTTP/1.1 origin wants to see.
    const key = asked.websocket ? `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` : ""
    const head = key === "" ? asked : { ...asked, kept: asked.kept + key }
    if (head.websocket) this.tunnelEnd = this.stream.asDuplex()
    const request = openOrigin(this.edge, head, decision, { requestId: this.requestId, peer: this.peer, client: this })
    this.origin = request
    if (head.expectContinue) setTimeout(() => this.proceed(), continueMillis).unref()
    request.start()
  }

  /** A piece of the request's body; the codec gives the window back only while this side reads. */
  onData(piece: Buffer): void {
    this.bytesIn += piece.length
    const { head } = this
    if (this.over || head === undefined) return
    if (head.length >= 0 && this.bytesIn > head.length) {
      this.refuseBody()
      return
    }
    if (this.origin !== undefined && !this.origin.write(piece)) this.stream.pause()
  }

  onEnd(trailers: string): void {
    if (this.requestEnded) return
    this.requestEnded = true
    const { head } = this
    if (this.over || head === undefined || head.websocket) return
    if (head.length >= 0 && this.bytesIn !== head.length) {
      this.refuseBody()
      return
    }
    this.origin?.end(trailers)
  }

  private refuseBody(): void {
    this.code = "length-mismatch"
    this.finish()
    this.origin?.abort()
    this.stream.reset(protocolError)
  }

  /** The stream was given up, by the client, with its connection, or by a limit. */
  onReset(why = "client-gone"): void {
    if (this.recorded) return
    this.code ||= why
    if (!this.over) this.origin?.abort()
    this.finish()
  }

  /** What waited for the client has gone out. */
  onSent(): void {
    if (this.over) this.finish()
  }

  onDrain(): void {
    this.origin?.resume()
  }

  cork(): void {
    this.cameAt = performance.now()
  }

  uncork(): boolean {
    this.cameAt = 0
    return true // frames leave at the end of the turn
  }

  proceed(): void {
    if (this.over || this.status !== 0 || this.bytesIn > 0 || this.head?.expectContinue !== true) return
    this.stream.respond(bareHead(100), "", false)
  }

  interim(head: ResponseHead): void {
    if (!this.over) this.stream.respond({ status: head.status, length: -1, passed: head.passed }, "", false)
  }

  respond(head: ResponseHead, body: ResponseBody): void {
    this.status = head.status
    this.answeredAt = this.cameAt
    const bare = body === "none" || (body === "length" && head.length === 0)
    this.stream.respond(head, answerLines(head, this.way!, this.head!), bare)
  }

  data(bytes: Buffer, start: number, end: number): boolean {
    this.bytesOut += end - start
    return this.over || this.stream.write(bytes, start, end, this.origin)
  }

  end(trailers: string): void {
    if (this.over) return
    this.over = true
    if (this.stream.end(trailers)) this.finish()
    // RFC 9113 §8.1: the answer is complete, the rest of the request is not wanted.
    if (!this.requestEnded) this.stream.reset(0)
  }

  upgrade(head: ResponseHead, origin: Duplex, rest: Buffer): void {
    this.status = 200
    this.answeredAt = performance.now()
    head.passed.removeNamed(["sec-websocket-accept"])
    this.stream.respond({ status: 200, length: -1, passed: head.passed }, "", false)
    this.over = true
    this.recorded = true // by the tunnel
    const ends = { client: this.tunnelEnd!, origin, fromClient: Buffer.alloc(0), fromOrigin: rest }
    openTunnel(this.edge, this, { peer: this.peer, protocol: "h2" }, ends)
  }

  drained(): void {
    if (!this.over && this.tunnelEnd === undefined) this.stream.resume()
  }

  fail(failure: Failure): void {
    if (this.over) return
    this.code = failure.code
    if (this.status === 0) {
      this.answer(policyAnswer(this.way?.policy ?? noPolicy, this.head ?? nobody, failure.status, this.requestId), this.head?.method ?? "")
      return
    }
    this.finish()
    this.stream.reset(internalError)
  }

  /** `malformed`: RFC 9113 §8.1.1: a stream error, before which the client may be told why; so the answer has no END_STREAM. */
  private answer(answer: Answer, method: string, malformed = false): void {
    this.status = answer.status
    const body = Buffer.from(answer.body, "utf8")
    const about = `content-type: ${answer.contentType}\r\n${dateLine()}`
    const bare = !malformed && (method === "HEAD" || body.length === 0)
    this.stream.respond({ status: answer.status, length: body.length, passed: noLines }, answer.headers + about, bare)
    this.over = true
    if (!bare) this.stream.write(body, 0, body.length)
    if (bare || malformed || this.stream.end("")) this.finish()
    if (malformed) this.stream.reset(protocolError)
    else if (!this.requestEnded) this.stream.reset(0)
  }

  private finish(): void {
    if (this.recorded) return
    this.over = true
    this.recorded = true
    this.edge.observer.requestDone(recordOf(this, { peer: this.peer, protocol: "h2" }, this.cameAt || performance.now()))
  }
}
