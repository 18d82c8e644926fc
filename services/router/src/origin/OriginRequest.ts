/**
 * The origin's side of one exchange: gets a connection, sends the request in the edge's own framing, tries once more where that is safe.
 *
 * Owns: framing the body towards the origin, the single retry. Leaves to `OriginPool.ts`: connections; to `ResponseReader.ts`: the answer.
 * Built against: a kept connection that the origin closed in the moment of its next use: only a request without body whose method is idempotent
 * is sent twice, and only if not one byte of an answer was seen (RFC 9110 §9.2.2). And against bytes behind a request that has no body.
 */
import type { BodyFraming, ExchangeClient, Failure, OriginExchange } from "../exchange/Exchange.ts"
import type { Forwarded } from "../exchange/forwardHead.ts"
import type { HostUse } from "../limits/HostUse.ts"
import type { Origin } from "./Origin.ts"
import type { OriginConnection } from "./OriginConnection.ts"
import type { OriginPool, Pending } from "./OriginPool.ts"
import { ResponseReader } from "./ResponseReader.ts"

export interface OutgoingRequest {
  /** Its head. */
  readonly forwarded: Forwarded
  readonly framing: BodyFraming
  /** The client's: at an origin's cap clients take turns. */
  readonly address: string
  /** Whose share of the edge it uses, from its start to its end. */
  readonly use: HostUse
}

/** RFC 9110 §9.2.2, of those that are forwarded. Compared one by one: most are the first. */
const isIdempotent = (method: string): boolean =>
  method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "PUT" || method === "DELETE"
const lastChunk = "0\r\n"

export class OriginRequest implements OriginExchange {
  readonly client: ExchangeClient
  readonly forwarded: Forwarded
  reader: ResponseReader
  sent: boolean
  private readonly pool: OriginPool
  private readonly origin: Origin
  private readonly outgoing: OutgoingRequest
  private connection: OriginConnection | undefined
  private pending: Pending | undefined
  private waiting: Array<Buffer | string> = []
  private retried = false
  private over = false
  /** Nothing is read of the answer until the client has room. */
  paused = false

  constructor(pool: OriginPool, origin: Origin, outgoing: OutgoingRequest, client: ExchangeClient) {
    this.pool = pool
    this.origin = origin
    this.outgoing = outgoing
    this.client = client
    this.forwarded = outgoing.forwarded
    outgoing.use.entered()
    // What follows a request to upgrade belongs to the tunnel or to nobody: a connection whose upgrade was declined is used no more.
    this.sent = outgoing.framing === "none" && !this.forwarded.head.websocket
    this.reader = this.newReader()
  }

  private newReader(): ResponseReader {
    const { method, websocket } = this.forwarded.head
    return new ResponseReader(this.client, method, websocket)
  }

  private get repeatable(): boolean {
    const { method, websocket } = this.forwarded.head
    return this.outgoing.framing === "none" && isIdempotent(method) && !websocket
  }

  get queued(): boolean {
    return this.pending?.waiting === true
  }

  start(fresh = false): void {
    const kept = fresh ? undefined : this.pool.take(this.origin, this.repeatable)
    if (kept !== undefined) {
      this.use(kept)
      return
    }
    const wanted = { address: this.outgoing.address, repeatable: this.repeatable, fresh }
    this.pending = this.pool.connect(this.origin, wanted, (result) => {
      this.pending = undefined
      if ("status" in result) this.failed(result, false)
      else this.use(result)
    })
  }

  private use(connection: OriginConnection): void {
    this.connection = connection
    const { socket } = connection
    if (this.outgoing.framing !== "none") {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    connection.begin(this)
    if (this.waiting.length === 0) return
    let room = true
    for (const piece of this.waiting) room = typeof piece === "string" ? socket.write(piece, "latin1") : socket.write(piece)
    this.waiting = []
    if (room) this.client.drained()
  }

  private put(piece: Buffer | string): boolean {
    const connection = this.connection
    if (connection === undefined) {
      this.waiting.push(piece)
      return false
    }
    connection.moved()
    return typeof piece === "string" ? connection.socket.write(piece, "latin1") : connection.socket.write(piece)
  }

  write(piece: Buffer): boolean {
    // Bytes behind a request that has no body would be the next request to the origin.
    if (this.over || piece.length === 0 || this.outgoing.framing === "none") return true
    if (this.outgoing.framing !== "chunked") return this.put(piece)
    const socket = this.connection?.socket
    socket?.cork()
    this.put(`${piece.length.toString(16)}\r\n`)
    this.put(piece)
    const room = this.put("\r\n")
    socket?.uncork()
    return room
  }

  end(trailers: string): void {
    if (this.over || this.sent) return
    this.sent = true
    if (this.outgoing.framing === "chunked") this.put(`${lastChunk}${trailers}\r\n`)
  }

  hold(): (() => void) | undefined {
    return this.connection?.hold()
  }

  resume(): void {
    this.paused = false
    if (!this.over) this.connection?.resume()
  }

  /** Called by the connection: nothing more will come from it for this exchange. */
  finished(): void {
    if (this.paused) this.connection?.resume()
    // A tunnel uses it for as long as it lasts.
    if (this.reader.state === "upgraded") this.connection?.socket.once("close", () => this.outgoing.use.left())
    else if (!this.over) this.outgoing.use.left()
    this.over = true
    this.connection = undefined
  }

  failed(failure: Failure, stale: boolean): void {
    this.connection = undefined
    if (this.over) return
    if (stale && !this.retried && this.repeatable) {
      this.retried = true
      this.reader = this.newReader()
      this.start(true)
      return
    }
    this.over = true
    this.outgoing.use.left()
    this.client.fail(failure)
  }

  abort(): void {
    if (this.over) return
    this.over = true
    this.outgoing.use.left()
    this.pending?.cancel()
    this.connection?.destroy()
    this.connection = undefined
  }
}
