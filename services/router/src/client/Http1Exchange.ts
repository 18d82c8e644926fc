/**
 * The client's side of one HTTP/1.1 exchange: writes the origin's answer in the edge's own framing.
 *
 * Owns: response head, body framing, the request's record. Leaves to `Http1Connection.ts`: the socket, the request's bytes, what comes next.
 */
import type { Duplex } from "node:stream"
import type { ExchangeClient, Failure, ResponseBody } from "../exchange/Exchange.ts"
import type { RequestHead } from "../http1/requestHead.ts"
import type { ResponseHead } from "../http1/responseHead.ts"
import { errorAnswer, reasons, writeAnswer } from "./answers.ts"
import type { Http1Connection } from "./Http1Connection.ts"

const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"

export class Http1Exchange implements ExchangeClient {
  readonly head: RequestHead
  readonly requestId: string
  readonly startedAt = performance.now()
  readonly connectionId: string
  readonly tenantId: string
  status = 0
  code = ""
  bytesIn = 0
  bytesOut = 0
  private readonly connection: Http1Connection
  private chunked = false
  private continued = false

  constructor(connection: Http1Connection, head: RequestHead, requestId: string, owner: { connectionId: string; tenantId: string }) {
    this.connection = connection
    this.head = head
    this.requestId = requestId
    this.connectionId = owner.connectionId
    this.tenantId = owner.tenantId
  }

  cork(): void {
    this.connection.socket.cork()
  }

  uncork(): void {
    this.connection.socket.uncork()
  }

  proceed(): void {
    if (this.continued || !this.head.expectContinue || this.bytesIn > 0) return
    this.continued = true
    this.connection.socket.write(continueLine, "latin1")
  }

  interim(head: ResponseHead): void {
    if (this.head.minor === 0) return
    this.connection.socket.write(`HTTP/1.1 ${head.status} ${head.reason}\r\n${head.kept}\r\n`, "latin1")
  }

  respond(head: ResponseHead, body: ResponseBody): void {
    this.status = head.status
    const { connection } = this
    if (!connection.requestComplete || connection.edge.draining) connection.closeAfter = true
    this.chunked = body === "stream" && this.head.minor === 1
    if (body === "stream" && !this.chunked) connection.closeAfter = true
    const length = head.length >= 0 && head.status !== 204 ? `Content-Length: ${head.length}\r\n` : ""
    const framing = this.chunked ? "Transfer-Encoding: chunked\r\n" : length
    const close = connection.closeAfter ? "Connection: close\r\n" : ""
    connection.socket.write(`HTTP/1.1 ${head.status} ${head.reason}\r\n${head.kept}${framing}${close}\r\n`, "latin1")
  }

  data(piece: Buffer): boolean {
    this.bytesOut += piece.length
    const { socket } = this.connection
    let room: boolean
    if (this.chunked) {
      socket.write(`${piece.length.toString(16)}\r\n`, "latin1")
      socket.write(piece)
      room = socket.write("\r\n", "latin1")
    } else {
      room = socket.write(piece)
    }
    if (!room) this.connection.waitForDrain()
    return room
  }

  end(trailers: string): void {
    if (this.chunked) this.connection.socket.write(`0\r\n${trailers}\r\n`, "latin1")
    this.connection.exchangeDone(this)
  }

  upgrade(head: ResponseHead, socket: Duplex, rest: Buffer): void {
    this.status = 101
    this.connection.tunnel(this, head, socket, rest)
  }

  drained(): void {
    this.connection.resumeReading()
  }

  fail(failure: Failure): void {
    this.code = failure.code
    const { connection } = this
    if (this.status !== 0) {
      connection.destroy() // the head is out: only a broken connection tells the client that the rest is missing
      return
    }
    this.status = failure.status
    if (!connection.requestComplete || connection.edge.draining) connection.closeAfter = true
    const answer = errorAnswer(failure.status, this.head.accept, this.requestId)
    connection.socket.write(writeAnswer(answer, { head: this.head.method === "HEAD", close: connection.closeAfter }), "latin1")
    connection.exchangeDone(this)
  }

  /** The status line of an agreed upgrade. */
  static switching(head: ResponseHead): string {
    return `HTTP/1.1 101 ${reasons[101]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${head.kept}\r\n`
  }
}
