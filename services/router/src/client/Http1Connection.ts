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
import { forwardedLines, forwardHead, framingOf } from "../exchange/forwardHead.ts"
import { isRefusal, type Refusal, refuse } from "../http1/Refusal.ts"
import { type RequestHead, readRequestHead } from "../http1/requestHead.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import { withoutQuery } from "../observe/RequestRecord.ts"
import { type Answer, errorAnswer, writeAnswer } from "./answers.ts"
import type { ClientPeer, Decision, Edge, ProxyDecision } from "./Edge.ts"
import { HeadBuffer } from "./HeadBuffer.ts"
import { Http1Exchange } from "./Http1Exchange.ts"
import { RequestBody } from "./RequestBody.ts"
import { Tunnel } from "./Tunnel.ts"

/** Bytes of further requests that are read while one is being answered. */
const maxAhead = 64 * 1024
/** Bytes and milliseconds for which a closing connection still listens, so that a reset does not overtake the answer (RFC 9112 §9.6). */
const lingerBytes = 1024 * 1024
const lingerMillis = 2000
const continueMillis = 1000

type State = "head" | "exchange" | "closing" | "tunnel" | "closed"
export type Decide = (edge: Edge, peer: ClientPeer, head: RequestHead, requestId: string) => Decision

export class Http1Connection implements Watched {
  deadline = 0
  closeAfter = false
  readonly edge: Edge
  readonly socket: Socket
  private readonly peer: ClientPeer
  private readonly decide: Decide
  private state: State = "head"
  private readonly heads = new HeadBuffer()
  private body: RequestBody | undefined
  private exchange: Http1Exchange | undefined
  private origin: OriginExchange | undefined
  private forwarded = { key: "", lines: "" }
  private lingered = 0
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
    if (this.state === "closing") {
      this.lingered += segment.length
      if (this.lingered > lingerBytes) this.destroy()
      return
    }
    if (this.state !== "head" && this.state !== "exchange") return
    this.heads.add(segment)
    if (this.state === "head") this.nextRequest()
    else if (this.heads.length > maxAhead) this.socket.pause()
  }

  /** Takes requests as long as they are answered at once: a loop, so that a long pipeline can't grow the stack. */
  private nextRequest(): void {
    if (this.taking) return
    this.taking = true
    while (this.state === "head") {
      const text = this.heads.take()
      if (text === undefined) {
        this.awaitHead()
        break
      }
      const head = typeof text === "string" ? readRequestHead(text) : text
      if (isRefusal(head)) this.refuse(head)
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
    this.deadline = 0
    this.closeAfter = head.close
    this.body = new RequestBody(head)
    this.edge.observer.requestStarted()
    const requestId = this.edge.newRequestId()
    const decision = this.decide(this.edge, this.peer, head, requestId)
    if ("answer" in decision) {
      this.answer(head, requestId, decision)
      return
    }
    this.forward(head, requestId, decision)
    if (this.requestComplete || this.heads.empty) return
    this.onData(this.heads.rest())
  }

  private forward(head: RequestHead, requestId: string, { entry, origin }: ProxyDecision): void {
    const key = `${head.host}:${head.port} ${entry.connection_id}`
    if (this.forwarded.key !== key) {
      this.forwarded = { key, lines: forwardedLines(this.peer, head.host, head.port, entry.connection_id) }
    }
    const exchange = new Http1Exchange(this, head, requestId, { connectionId: entry.connection_id, tenantId: entry.tenant_id })
    const outgoing = {
      method: head.method,
      headText: forwardHead(head, entry, this.forwarded.lines, requestId),
      framing: framingOf(head),
      websocket: head.websocket
    }
    this.exchange = exchange
    const request = this.edge.pool.open(origin, outgoing, exchange)
    this.origin = request
    if (head.expectContinue) setTimeout(() => exchange === this.exchange && exchange.proceed(), continueMillis).unref()
    if (!this.requestComplete) this.deadline = this.edge.deadlines.now + this.edge.limits.bodyMillis
    request.start()
  }

  private onBody(segment: Buffer): void {
    const origin = this.origin!
    const exchange = this.exchange!
    exchange.bytesIn += segment.length
    this.deadline = this.edge.deadlines.now + this.edge.limits.bodyMillis
    const result = this.body!.read(segment, origin)
    if ("refused" in result) {
      this.refuse(result)
      return
    }
    if (this.requestComplete) this.deadline = 0
    if (!result.room && !this.requestComplete) {
      this.deadline = 0 // the origin is slow, not the client
      this.socket.pause()
    }
    if (result.taken < segment.length) {
      exchange.bytesIn -= segment.length - result.taken
      this.onData(segment.subarray(result.taken))
    }
  }

  resumeReading(): void {
    if (this.state !== "exchange") return
    if (!this.requestComplete) this.deadline = this.edge.deadlines.now + this.edge.limits.bodyMillis
    this.socket.resume()
  }

  waitForDrain(): void {
    this.deadline = this.edge.deadlines.now + this.edge.limits.drainMillis
  }

  private onDrain(): void {
    if (this.state !== "exchange") return
    this.deadline = this.requestComplete ? 0 : this.edge.deadlines.now + this.edge.limits.bodyMillis
    this.origin?.resume()
  }

  private answer(head: RequestHead, requestId: string, decision: { answer: Answer; code: string; close: boolean }): void {
    const exchange = new Http1Exchange(this, head, requestId, { connectionId: "", tenantId: "" })
    exchange.status = decision.answer.status
    exchange.code = decision.code
    if (!this.requestComplete || decision.close || this.edge.draining) this.closeAfter = true
    this.exchange = exchange
    this.socket.write(writeAnswer(decision.answer, { head: head.method === "HEAD", close: this.closeAfter }), "latin1")
    this.exchangeDone(exchange)
  }

  /** The answer is written. Goes on with the next request, or closes. */
  exchangeDone(exchange: Http1Exchange): void {
    if (this.exchange !== exchange) return
    this.exchange = undefined
    this.record(exchange)
    if (this.closeAfter || !this.requestComplete || this.state === "closing") {
      this.origin?.abort()
      this.origin = undefined
      this.closeGently()
      return
    }
    this.origin = undefined
    this.body = undefined
    if (this.state !== "exchange") return
    this.state = "head"
    if (this.socket.isPaused()) this.socket.resume()
    if (this.socket.readableEnded) {
      this.closeGently()
      return
    }
    this.nextRequest()
  }

  /** Answers with the refusal's status if nothing was answered yet, and closes. */
  private refuse(refusal: Refusal): void {
    const exchange = this.exchange
    this.exchange = undefined
    this.origin?.abort()
    this.origin = undefined
    const answered = exchange !== undefined && exchange.status !== 0
    const requestId = exchange?.requestId ?? this.edge.newRequestId()
    if (exchange === undefined) this.edge.observer.requestStarted()
    if (answered) {
      this.record(exchange)
      this.destroy()
      return
    }
    const answer = errorAnswer(refusal.status, exchange?.head.accept ?? "", requestId)
    this.socket.write(writeAnswer(answer, { head: false, close: true }), "latin1")
    this.recordRefusal(refusal, requestId, exchange)
    this.closeGently()
  }

  tunnel(exchange: Http1Exchange, head: ResponseHead, origin: Duplex, rest: Buffer): void {
    this.exchange = undefined
    this.origin = undefined
    this.state = "tunnel"
    this.edge.deadlines.forget(this)
    this.socket.off("data", this.onSegment)
    this.socket.write(Http1Exchange.switching(head), "latin1")
    new Tunnel(this.socket, origin, { deadlines: this.edge.deadlines, idleMillis: this.edge.limits.tunnelMillis }).start(
      rest,
      this.heads.rest()
    )
    this.record(exchange)
  }

  private onEnd(): void {
    if (this.state === "tunnel") return
    if (this.state !== "exchange" || !this.requestComplete) {
      this.state === "closing" ? this.destroy() : this.leave()
      return
    }
    // Half-closed after a whole request: the answer may still be wanted, but not without end.
    this.closeAfter = true
    if (this.deadline === 0) this.deadline = this.edge.deadlines.now + this.edge.limits.drainMillis
  }

  /** The client will send no more, and nothing is owed to it. */
  private leave(): void {
    if (this.exchange !== undefined) {
      this.destroy()
      return
    }
    this.state = "closing"
    this.socket.end()
    this.deadline = this.edge.deadlines.now + lingerMillis
  }

  closeGently(): void {
    if (this.state === "closed" || this.state === "closing") return
    this.state = "closing"
    this.deadline = this.edge.deadlines.now + lingerMillis
    this.socket.resume()
    this.socket.end()
    if (this.socket.readableEnded) this.socket.once("finish", () => this.destroy())
  }

  onDeadline(): void {
    if (this.state === "head" && !this.heads.empty) {
      this.refuse(refuse(408, "head-too-slow"))
      return
    }
    if (this.state === "exchange" && !this.requestComplete && this.exchange?.status === 0) {
      this.refuse(refuse(408, "body-too-slow"))
      return
    }
    this.destroy()
  }

  destroy(): void {
    if (this.state === "closed") return
    const exchange = this.exchange
    this.exchange = undefined
    if (this.state !== "tunnel") this.socket.destroy()
    this.state = "closed"
    this.edge.deadlines.forget(this)
    this.origin?.abort()
    this.origin = undefined
    if (exchange !== undefined) {
      if (exchange.code === "") exchange.code = "client-gone"
      this.record(exchange)
    }
  }

  private record(exchange: Http1Exchange): void {
    const { head } = exchange
    this.edge.observer.requestDone({
      ...{ requestId: exchange.requestId, protocol: head.minor === 0 ? "http/1.0" : "http/1.1", scheme: this.peer.scheme },
      ...{ address: this.peer.address, method: head.method, host: head.host, path: withoutQuery(head.target), status: exchange.status },
      ...{ code: exchange.code, connectionId: exchange.connectionId, tenantId: exchange.tenantId, bytesIn: exchange.bytesIn },
      ...{ bytesOut: exchange.bytesOut, millis: performance.now() - exchange.startedAt }
    })
  }

  private recordRefusal(refusal: Refusal, requestId: string, exchange: Http1Exchange | undefined): void {
    if (exchange !== undefined) {
      exchange.status = refusal.status
      exchange.code = refusal.code
      this.record(exchange)
      return
    }
    this.edge.observer.requestDone({
      ...{ requestId, protocol: "http/1.1", scheme: this.peer.scheme, address: this.peer.address, method: "", host: "", path: "" },
      ...{ status: refusal.status, code: refusal.code, connectionId: "", tenantId: "", bytesIn: 0, bytesOut: 0, millis: 0 }
    })
  }
}
