/**
 * One HTTP/1.1 connection of a client: requests one after the other, each decided on its own.
 *
 * Owns: the bytes from the client, time limits (E8), pipelining, closing without losing the last answer. Leaves to `HeadBuffer.ts`: the
 * verdict on a head; to `Http1Exchange.ts`: the answer; to `OriginPool.ts`: the origin. Built against: request smuggling (a refused message
 * always ends the connection), slow clients, and clients that leave half-way.
 */
import type { Socket } from "node:net"
import type { Watched } from "../Deadlines.ts"
import type { OriginExchange } from "../exchange/Exchange.ts"
import { isRefusal, refuse } from "../http1/Refusal.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import { drainTime } from "./drainTime.ts"
import type { ClientPeer, Decide, Edge } from "./Edge.ts"
import { forwardRequest } from "./forwardRequest.ts"
import { HeadBuffer } from "./HeadBuffer.ts"
import type { Http1Exchange } from "./Http1Exchange.ts"
import { closeGently, type Linger } from "./Linger.ts"
import { answerHere, refuseMessage } from "./ownAnswers.ts"
import { RequestBody } from "./RequestBody.ts"

/** Bytes of further requests that are read while one is being answered. */
const maxAhead = 64 * 1024

export class Http1Connection implements Watched {
  deadline = 0
  place = 0
  closeAfter = false
  readonly edge: Edge
  readonly socket: Socket
  readonly peer: ClientPeer
  private readonly decide: Decide
  private state: "head" | "exchange" | "tunnel" | "closed" = "head"
  private readonly heads = new HeadBuffer()
  private body: RequestBody | undefined
  /** The request that is being answered. */
  exchange: Http1Exchange | undefined
  origin: OriginExchange | undefined
  private taking = false
  /** Since it is being closed. */
  private linger: Linger | undefined
  private readonly onSegment = (segment: Buffer) => this.onData(segment)

  constructor(edge: Edge, socket: Socket, peer: ClientPeer, decide: Decide) {
    this.edge = edge
    this.socket = socket
    this.peer = peer
    this.decide = decide
    this.deadline = edge.deadlines.now + edge.limits.headMillis
    edge.deadlines.watch(this)
    socket.on("data", this.onSegment)
    socket.on("end", () => this.onEnd())
    socket.on("drain", () => this.onDrain())
    socket.on("close", () => {
      this.linger?.onClose()
      this.destroy()
    })
  }

  /** The current request was read to its end. */
  get requestComplete(): boolean {
    return this.body === undefined || this.body.complete
  }

  /** The client has closed its side, and no further request came before that. */
  private get nothingBehind(): boolean {
    return this.socket.readableEnded && this.heads.empty
  }

  /** No request is being read or answered, the last answer is written: it can be closed without anybody noticing. */
  get idle(): boolean {
    return this.state === "head" && this.heads.empty && this.socket.writableLength === 0
  }

  private onData(segment: Buffer): void {
    if (this.state === "closed") return void this.linger?.onData(segment.length)
    if (this.state === "exchange" && !this.requestComplete) {
      this.onBody(segment)
      return
    }
    this.heads.add(segment)
    if (this.state === "head" && !this.socket.writableNeedDrain) this.nextRequest()
    if (this.heads.length > maxAhead) this.socket.pause()
  }

  private readOn(): void {
    if (this.heads.length <= maxAhead && this.socket.isPaused()) this.socket.resume()
  }

  /** A loop, so that a long pipeline can't grow the stack. While answers wait for the client no request is taken: the edge would hold them all. */
  private nextRequest(): void {
    if (this.taking) return
    this.taking = true
    while (this.state === "head") {
      const head = this.socket.writableNeedDrain ? undefined : this.heads.take()
      if (head === undefined) {
        this.awaitHead()
        break
      }
      if (isRefusal(head)) refuseMessage(this, head)
      else this.begin(head)
    }
    this.taking = false
  }

  private awaitHead(): void {
    const { deadlines, limits } = this.edge
    const full = this.socket.writableNeedDrain
    if (full) this.waitForDrain()
    else if (this.socket.readableEnded)
      this.closeGently() // RFC 9112 §9.6: what came whole is answered
    else if (this.heads.empty) this.deadline = deadlines.now + limits.idleMillis
    else if (!this.heads.waiting) this.deadline = deadlines.now + limits.headMillis
    this.heads.waiting = !full && !this.heads.empty
  }

  private begin(head: RequestHead): void {
    this.state = "exchange"
    this.closeAfter = head.close || this.nothingBehind
    this.body = new RequestBody(head)
    this.limitExchange()
    this.edge.observer.requestStarted()
    const requestId = this.edge.newRequestId()
    const decision = this.decide(this.edge, this.peer, head, requestId)
    if ("answer" in decision) answerHere(this, head, requestId, decision)
    else forwardRequest(this, head, requestId, decision)
    if (this.origin === undefined || this.requestComplete) return
    const rest = this.heads.rest()
    this.readOn()
    if (rest.length > 0) this.onData(rest)
    if (!this.requestComplete && this.socket.readableEnded) this.destroy()
  }

  /** What is waited for of the client during an exchange: its body or, of one that has half-closed, some end. `waitForDrain` stands before both. */
  limitExchange(): void {
    if (this.socket.writableNeedDrain) return
    const { deadlines, limits } = this.edge
    if (!this.requestComplete) this.deadline = deadlines.now + limits.bodyMillis
    else this.deadline = this.socket.readableEnded ? deadlines.now + limits.drainMillis : 0
  }

  private onBody(segment: Buffer): void {
    const origin = this.origin!
    const exchange = this.exchange!
    exchange.bytesIn += segment.length
    const result = this.body!.read(segment, origin)
    if ("refused" in result) {
      refuseMessage(this, result)
      return
    }
    this.limitExchange()
    if (!result.room && !this.requestComplete) {
      if (!this.socket.writableNeedDrain) this.deadline = 0 // the origin is slow, not the client
      this.socket.pause()
    }
    if (result.taken < segment.length) {
      exchange.bytesIn -= segment.length - result.taken
      this.onData(segment.subarray(result.taken))
    }
  }

  resumeReading(): void {
    if (this.state !== "exchange") return
    this.limitExchange()
    this.readOn()
  }

  waitForDrain(): void {
    this.deadline = this.edge.deadlines.now + drainTime(this.socket.writableLength, this.edge.limits.drainMillis)
  }

  private onDrain(): void {
    if (this.state === "head") this.nextRequest()
    else if (this.state === "exchange") {
      this.limitExchange()
      this.origin?.resume()
    }
  }

  /** The answer is written. Goes on with the next request, or closes. */
  exchangeDone(exchange: Http1Exchange): void {
    if (this.exchange !== exchange) return
    this.exchange = undefined
    exchange.record()
    // An answer that came early leaves a request half sent: that connection is of no more use (E4). A complete one goes back to the pool.
    if (!this.requestComplete) this.origin?.abort()
    this.origin = undefined
    const last = this.closeAfter || !this.requestComplete
    this.body = undefined
    this.state = "head"
    this.readOn()
    if (last) this.closeGently()
    else this.nextRequest()
  }

  /** Lets go of the socket, which is a tunnel's from now on. Returns what was read of it already. */
  becomeTunnel(): Buffer {
    this.exchange = undefined
    this.origin = undefined
    this.state = "tunnel"
    this.edge.deadlines.forget(this)
    this.socket.off("data", this.onSegment)
    return this.heads.rest()
  }

  private onEnd(): void {
    this.linger?.onHalf()
    if (this.state === "head" && !this.socket.writableNeedDrain) this.closeGently()
    if (this.state !== "exchange") return
    // Nobody keeps a place in an origin's queue who will not hear the answer, as far as can be told.
    if (!this.requestComplete || this.origin?.queued) this.destroy()
    else this.limitExchange() // half-closed after whole requests: the answers may still be wanted, but not without end
    this.closeAfter ||= this.nothingBehind
  }

  closeGently(): void {
    if (this.state === "closed") return
    this.release()
    this.linger = closeGently(this.socket, this.edge.deadlines, this.edge.limits.drainMillis)
  }

  private release(): void {
    this.state = "closed"
    this.edge.deadlines.forget(this)
    this.origin?.abort()
    this.origin = undefined
  }

  onDeadline(): void {
    if (this.socket.writableNeedDrain) this.destroy("client-too-slow")
    else if (this.state === "head" && !this.heads.empty) refuseMessage(this, refuse(408, "head-too-slow"))
    else if (this.state === "head") this.closeGently()
    else if (this.requestComplete) this.destroy()
    else if (this.exchange?.status === 0) refuseMessage(this, refuse(408, "body-too-slow"))
    else this.destroy("body-too-slow")
  }

  /** `code`: what the record of an unfinished answer says. */
  destroy(code = "client-gone"): void {
    if (this.state === "closed") return
    const exchange = this.exchange
    this.exchange = undefined
    if (this.state !== "tunnel") this.socket.destroy()
    this.release()
    if (exchange === undefined) return
    exchange.code ||= code
    exchange.record()
  }
}
