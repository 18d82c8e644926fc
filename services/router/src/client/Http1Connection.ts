/**
 * One HTTP/1.1 connection of a client: requests one after the other, each decided on its own.
 *
 * Owns: the bytes from the client, time limits (E8), pipelining, closing without losing the last answer. Leaves to `readRequestHead`: the
 * verdict on a head; to `Http1Exchange.ts`: the answer; to `OriginPool.ts`: the origin. Built against: request smuggling (a refused message
 * always ends the connection), slow clients, and clients that leave half-way.
 */
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Watched } from "../Deadlines.ts"
import type { OriginExchange } from "../exchange/Exchange.ts"
import { forwardedLines } from "../exchange/forwardHead.ts"
import { isRefusal, refuse } from "../http1/Refusal.ts"
import { type RequestHead, readRequestHead } from "../http1/requestHead.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import type { ClientPeer, Decision, Edge, ProxyDecision } from "./Edge.ts"
import { HeadBuffer } from "./HeadBuffer.ts"
import { Http1Exchange } from "./Http1Exchange.ts"
import { linger } from "./linger.ts"
import { openOrigin } from "./openOrigin.ts"
import { openTunnel } from "./openTunnel.ts"
import { answerHere, refuseMessage } from "./ownAnswers.ts"
import { RequestBody } from "./RequestBody.ts"
import { recordOf } from "./recordOf.ts"

/** Bytes of further requests that are read while one is being answered. */
const maxAhead = 64 * 1024
const continueMillis = 1000

type State = "head" | "exchange" | "tunnel" | "closed"
export type Decide = (edge: Edge, peer: ClientPeer, head: RequestHead, requestId: string) => Decision

export class Http1Connection implements Watched {
  deadline = 0
  place = 0
  closeAfter = false
  readonly edge: Edge
  readonly socket: Socket
  readonly peer: ClientPeer
  private readonly decide: Decide
  private state: State = "head"
  private readonly heads = new HeadBuffer()
  private body: RequestBody | undefined
  /** The request that is being answered. */
  exchange: Http1Exchange | undefined
  origin: OriginExchange | undefined
  private taking = false
  private readonly onSegment = (segment: Buffer) => this.onData(segment)

  constructor(edge: Edge, socket: Socket, peer: ClientPeer, decide: Decide) {
    this.edge = edge
    this.socket = socket
    this.peer = peer
    this.decide = decide
    this.deadline = edge.deadlines.now + edge.limits.headMillis
    edge.deadlines.watch(this)
    socket.setNoDelay(true)
    socket.on("data", this.onSegment)
    socket.on("end", () => this.onEnd())
    socket.on("drain", () => this.onDrain())
    socket.on("error", () => this.destroy())
    socket.on("close", () => this.destroy())
  }

  /** The current request was read to its end. */
  get requestComplete(): boolean {
    return this.body === undefined || this.body.complete
  }

  /** No request is being read or answered: it can be closed without anybody noticing. */
  get idle(): boolean {
    return this.state === "head" && this.heads.empty
  }

  private onData(segment: Buffer): void {
    if (this.state === "exchange" && !this.requestComplete) {
      this.onBody(segment)
      return
    }
    if (this.state !== "head" && this.state !== "exchange") return
    this.heads.add(segment)
    if (this.state === "head" && !this.socket.writableNeedDrain) this.nextRequest()
    if (this.heads.length > maxAhead) this.socket.pause()
  }

  private readOn(): void {
    if (this.heads.length <= maxAhead && this.socket.isPaused()) this.socket.resume()
  }

  /**
   * Takes requests as long as they are answered at once: a loop, so that a long pipeline can't grow the stack. None is taken while answers wait for the
   * client: who asks and doesn't read would have the edge hold them all.
   */
  private nextRequest(): void {
    if (this.taking) return
    this.taking = true
    while (this.state === "head") {
      if (this.socket.writableNeedDrain) {
        this.waitForDrain()
        break
      }
      const text = this.heads.take()
      if (text === undefined) {
        this.awaitHead()
        break
      }
      const head = typeof text === "string" ? readRequestHead(text, this.heads.scanned) : text
      if (isRefusal(head)) refuseMessage(this, head)
      else this.begin(head)
    }
    this.taking = false
  }

  private awaitHead(): void {
    const { deadlines, limits } = this.edge
    if (this.heads.empty) this.deadline = deadlines.now + limits.idleMillis
    else if (!this.heads.waiting) this.deadline = deadlines.now + limits.headMillis
    this.heads.waiting = !this.heads.empty
  }

  private begin(head: RequestHead): void {
    this.state = "exchange"
    this.closeAfter = head.close
    this.body = new RequestBody(head)
    this.limitExchange()
    this.edge.observer.requestStarted()
    const requestId = this.edge.newRequestId()
    const decision = this.decide(this.edge, this.peer, head, requestId)
    if ("answer" in decision) {
      answerHere(this, head, requestId, decision)
      return
    }
    this.forward(head, requestId, decision)
    if (this.requestComplete || this.heads.empty) return
    const rest = this.heads.rest()
    this.readOn()
    this.onData(rest)
  }

  private forward(head: RequestHead, requestId: string, decision: ProxyDecision): void {
    const { connection_id: connectionId, tenant_id: tenantId } = decision.entry
    const forwarded = forwardedLines(this.peer, head.host, head.port, connectionId)
    const exchange = new Http1Exchange(this, head, requestId, { connectionId, tenantId, policy: decision.policy, way: decision })
    this.exchange = exchange
    const request = openOrigin(this.edge, head, decision, { requestId, forwarded, address: this.peer.address, client: exchange })
    this.origin = request
    if (head.expectContinue) setTimeout(() => exchange === this.exchange && exchange.proceed(), continueMillis).unref()
    request.start()
  }

  /** What is waited for of the client during an exchange: its body or, of one that has half-closed, some end. `waitForDrain` stands before both. */
  private limitExchange(): void {
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
    this.deadline = this.edge.deadlines.now + this.edge.limits.drainMillis
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
    this.record(exchange)
    // An answer that came early leaves a request half sent: that connection is of no more use (E4). A complete one goes back to the pool.
    if (!this.requestComplete) this.origin?.abort()
    this.origin = undefined
    const last = this.closeAfter || !this.requestComplete || this.socket.readableEnded
    this.body = undefined
    this.state = "head"
    this.readOn()
    if (last) this.closeGently()
    else this.nextRequest()
  }

  tunnel(exchange: Http1Exchange, head: ResponseHead, origin: Duplex, fromOrigin: Buffer): void {
    this.exchange = undefined
    this.origin = undefined
    this.state = "tunnel"
    this.edge.deadlines.forget(this)
    this.socket.off("data", this.onSegment)
    this.socket.write(Http1Exchange.switching(head), "latin1")
    openTunnel(this.edge, exchange, exchange.asker, { client: this.socket, origin, fromClient: this.heads.rest(), fromOrigin })
  }

  private onEnd(): void {
    if (this.state === "head") this.closeGently()
    if (this.state !== "exchange") return
    // Nobody keeps a place in an origin's queue who will not hear the answer, as far as can be told.
    if (!this.requestComplete || this.origin?.queued) this.destroy()
    // Half-closed after a whole request: the answer may still be wanted, but not without end.
    this.closeAfter = true
    if (this.deadline === 0) this.deadline = this.edge.deadlines.now + this.edge.limits.drainMillis
  }

  closeGently(): void {
    if (this.state === "closed") return
    this.release()
    linger(this.socket, this.edge.deadlines)
  }

  /** The connection lets go of its socket. */
  private release(): void {
    this.state = "closed"
    this.edge.deadlines.forget(this)
    this.socket.off("data", this.onSegment)
    this.origin?.abort()
    this.origin = undefined
  }

  onDeadline(): void {
    if (this.socket.writableNeedDrain) this.destroy()
    else if (this.state === "head" && !this.heads.empty) refuseMessage(this, refuse(408, "head-too-slow"))
    else if (this.state === "exchange" && !this.requestComplete && this.exchange?.status === 0)
      refuseMessage(this, refuse(408, "body-too-slow"))
    else this.destroy()
  }

  destroy(): void {
    if (this.state === "closed") return
    const exchange = this.exchange
    this.exchange = undefined
    if (this.state !== "tunnel") this.socket.destroy()
    this.release()
    if (exchange === undefined) return
    exchange.code ||= "client-gone"
    this.record(exchange)
  }

  record(exchange: Http1Exchange): void {
    this.edge.observer.requestDone(recordOf(exchange, exchange.asker))
  }
}
