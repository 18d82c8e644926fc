/**
 * One connection to an origin: carries one exchange after the other.
 *
 * Owns: the socket, its time limits, the verdict whether it may be used again. Leaves to `OriginPool.ts`: which connection an exchange gets; to
 * `ResponseReader.ts`: the bytes. Built against: a connection that still owes bytes of one client's answer when the next client gets it (E4).
 */
import type { Socket } from "node:net"
import { largeBytes, mediumBytes } from "../bufferPool.ts"
import type { Deadlines, Watched } from "../Deadlines.ts"
import type { Failure } from "../exchange/Exchange.ts"
import { forgetListeners } from "../forgetListeners.ts"
import type { Origin } from "./Origin.ts"
import { type OriginInput, sharedBytes } from "./OriginInput.ts"
import type { Bucket } from "./OriginPool.ts"
import type { OriginRequest } from "./OriginRequest.ts"
import { readAfterReset } from "./readAfterReset.ts"
import { sendHead } from "./sendHead.ts"

export interface OriginLimits {
  /** From the request to the response's head, milliseconds. */
  readonly responseMillis: number
  /** Between two pieces of a body, in either direction. */
  readonly idleMillis: number
  /** How long an unused connection is kept when the origin names no time of its own. */
  readonly keepMillis: number
}

/** What the pool is told. */
export interface ConnectionOwner {
  readonly deadlines: Deadlines
  readonly limits: OriginLimits
  /** Answers of TLS origins that were over when the connection was, and may have been cut off. */
  unconfirmedEnds: number
  /** The exchange is over; `reusable` connections come back to the pool. */
  released(connection: OriginConnection, reusable: boolean): void
}

export interface Belonging {
  readonly origin: Origin
  /** Of the pool, which finds it again at once. */
  readonly bucket: Bucket
  readonly owner: ConnectionOwner
}

const isTimeout = (code: string) => code === "ETIMEDOUT"

export class OriginConnection implements Watched {
  deadline = 0
  place = 0
  /** Among the pool's. */
  readonly seat = { place: 0, connection: this as OriginConnection }
  readonly socket: Socket
  readonly origin: Origin
  readonly bucket: Bucket
  /** An exchange has it, or is about to. */
  inUse = true
  /** Exchanges carried so far. */
  uses = 0
  /** When it became idle; of the clock of `Deadlines`. */
  idleSince = 0
  keepMillis: number
  private readonly owner: ConnectionOwner
  private request: OriginRequest | undefined
  private gone = false
  private readonly input: OriginInput

  constructor(socket: Socket, input: OriginInput, { origin, bucket, owner }: Belonging) {
    this.socket = socket
    this.input = input
    this.origin = origin
    this.bucket = bucket
    this.owner = owner
    this.keepMillis = owner.limits.keepMillis
    owner.deadlines.watch(this)
    socket.setNoDelay(true)
    readAfterReset(socket)
    input.receive = (bytes, length) => this.onData(bytes, length)
    socket.on("end", () => this.onEnd())
    socket.on("error", (error: NodeJS.ErrnoException) =>
      this.fail({ status: isTimeout(error.code ?? "") ? 504 : 502, code: "origin-reset" })
    )
    socket.on("close", () => {
      this.onEnd()
      forgetListeners(socket)
    })
    socket.on("drain", () => this.request?.client.drained())
  }

  begin(request: OriginRequest): void {
    this.request = request
    this.uses++
    this.deadline = this.owner.deadlines.now + this.owner.limits.responseMillis
    sendHead(this.socket, request.forwarded, this.origin.secure)
  }

  /** Bytes of the request's body were sent: the origin's time to answer counts from here. */
  moved(): void {
    const { now } = this.owner.deadlines
    this.deadline = now + (this.request?.reader.state === "body" ? this.owner.limits.idleMillis : this.owner.limits.responseMillis)
  }

  /** Bytes of this turn stay valid until the returned function is called; undefined: they have to be copied. */
  hold(): (() => void) | undefined {
    return this.input.hold()
  }

  resume(): void {
    this.input.resume(this.socket)
  }

  /** As `OriginInput.receive`. */
  private onData(bytes: Buffer, length: number): boolean {
    const request = this.request
    if (request === undefined) {
      this.destroy() // an answer nobody asked for
      return false
    }
    const { client, reader } = request
    client.cork()
    const refusal = reader.read(bytes, length, this.bucket.repeated)
    if (refusal !== undefined) this.fail({ status: 502, code: refusal.code })
    else if (reader.state === "done") this.finish(request)
    else if (reader.state === "upgraded") this.upgrade(request)
    else
      this.deadline = this.owner.deadlines.now + (reader.state === "head" ? this.owner.limits.responseMillis : this.owner.limits.idleMillis)
    const room = client.uncork() && !reader.paused
    reader.paused = false
    // What TLS has decrypted is handed on after a pause too, into a buffer that may be lent.
    const long = reader.state === "body" && length >= sharedBytes && !this.origin.secure
    this.input.long = !long ? 0 : client.steady === true ? largeBytes : mediumBytes
    if (room || this.request !== request) return true
    request.paused = true
    return false
  }

  /** The response is complete. Only a request that was sent completely leaves the connection clean. */
  private finish(request: OriginRequest): void {
    this.request = undefined
    const { reader } = request
    const reusable = reader.reusable && request.sent && !this.gone && this.socket.writableLength === 0
    if (reader.head !== undefined && reader.head.keepSeconds >= 0) {
      // A second less than the origin keeps it: a request must not meet the close half-way.
      this.keepMillis = Math.max(0, Math.min(this.owner.limits.keepMillis, reader.head.keepSeconds * 1000 - 1000))
    }
    this.idleSince = this.owner.deadlines.now
    this.deadline = reusable ? this.idleSince + this.keepMillis : 0
    this.owner.released(this, reusable)
    request.finished()
    if (!reusable) this.destroy()
  }

  private upgrade(request: OriginRequest): void {
    this.request = undefined
    this.gone = true // the socket is the client's now: what it still tells this connection changes nothing
    this.owner.deadlines.forget(this)
    this.input.becomeStream(this.socket)
    this.socket.pause()
    this.owner.released(this, false)
    request.finished()
    request.client.upgrade(request.reader.head!, this.socket, Buffer.from(request.reader.rest))
  }

  private onEnd(): void {
    const request = this.request
    if (this.gone) return
    if (request?.reader.untilClose && !this.socket.errored) {
      // RFC 9112 §9.8: over TLS such a body is whole only if a closure alert ended it. Node hands on the end of the TCP connection as the same
      // `end`, whatever `secureOptions` say, and shows neither the alert nor the records, so it can't be told; origins that close without one
      // are many. It is served as it came, and counted: who sees the count rise can give the origin a Content-Length or chunks.
      if (this.origin.secure) this.owner.unconfirmedEnds++
      request.client.cork()
      request.reader.closed()
      this.finish(request)
      request.client.uncork()
      return
    }
    if (request === undefined) {
      this.destroy()
      return
    }
    this.fail({ status: 502, code: request.reader.started ? "origin-closed-early" : "origin-closed" })
  }

  onDeadline(): void {
    if (this.request === undefined) {
      this.destroy()
      return
    }
    if (this.input.paused) {
      this.moved() // the client is slow, not the origin: its own limit applies
      return
    }
    this.fail({ status: 504, code: "origin-timeout" })
  }

  private fail(failure: Failure): void {
    const request = this.request
    this.request = undefined
    this.destroy()
    request?.failed(failure, this.uses > 1 && !request.reader.started)
  }

  /** Ends it without ceremony. Safe to call twice. */
  destroy(): void {
    if (this.gone) return
    this.gone = true
    this.request = undefined
    this.owner.deadlines.forget(this)
    this.owner.released(this, false)
    this.socket.destroy()
  }
}
