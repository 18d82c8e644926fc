/**
 * One connection on the TLS port from its first byte to the end of its handshake.
 *
 * Owns: reading the ClientHello, choosing the context by it, the handshake's time limit. Leaves to `ServerNames.ts` and, for a CA that
 * validates a name, to `AlpnChallenges.ts`: which context; to `Listeners.ts`: what is spoken then. An unknown name gets its alert from here: it costs a look-up, no TLS object and no context.
 * A session resumes only under the claim that it was made for: the context's session id is the claim's (E5).
 */
import type { Socket } from "node:net"
import { type SecureContext, TLSSocket } from "node:tls"
import { mediumBytes } from "../bufferPool.ts"
import { type AlpnChallenges, isValidation, noApplicationProtocol, validation } from "../challenge/AlpnChallenges.ts"
import type { Deadlines, Watched } from "../Deadlines.ts"
import { Gathered } from "../Gathered.ts"
import { canonicalHost } from "../http1/HostNames.ts"
import { helloWants, maxHelloBytes, readClientHello, unrecognizedName } from "./readClientHello.ts"
import type { ServerNames } from "./ServerNames.ts"

/** What is the same for all connections of a listener, which tells them apart by `C`. */
export interface Accepting<C> {
  readonly deadlines: Deadlines
  readonly serverNames: ServerNames
  readonly challenges: AlpnChallenges
  readonly handshakeMillis: number
  /** Whether a handshake for this name may go on. */
  readonly admit: (connection: C, serverName: string) => boolean
  readonly onSecure: (connection: C, socket: TLSSocket, serverName: string) => void
  /** A CA saw the answer to its TLS-ALPN-01 challenge; the connection is closed. */
  readonly onValidated: () => void
  /** `reason`: one of a few. */
  readonly onFailed: (reason: string) => void
}

/**
 * In the wire form that the constructor wants (RFC 7301 §3.1). Node copies these for each connection: a DataView into memory of its own, a Buffer into a
 * slab that 64 KiB of others' bytes would be kept with.
 */
const protocolList = (list: Buffer) => new DataView(Uint8Array.from(list).buffer)
const protocols = protocolList(Buffer.from("\x02h2\x08http/1.1", "latin1"))
const validationProtocols = protocolList(validation)
/** A hello is one record or a few; who sends it in more pieces than this wants it to be read again and again. */
const maxLooks = 256
/** Fatal alert internal_error (RFC 8446 §6.2): nothing is wrong with the client's hello. */
const internalError = Buffer.from([21, 3, 3, 0, 2, 2, 80])

/** An error is told by the close behind it. */
const ignore = (): void => {}

export class SecureAccept<C extends { readonly socket: Socket }> implements Watched {
  deadline: number
  place = 0
  private readonly connection: C
  private readonly raw: Socket
  private readonly options: Accepting<C>
  private readonly held = new Gathered()
  /** Before so many bytes have come there is no hello to look at. */
  private wanted = 5
  private looks = 0
  private secured: TLSSocket | undefined
  private over = false
  private readonly onBytes = (bytes: Buffer) => this.take(bytes)
  /** Nothing more will come: also for whoever hears of the socket's close. */
  readonly onGone = () => this.fail("closed")

  /** `first`: bytes that were read already. */
  constructor(connection: C, options: Accepting<C>, first: Buffer | undefined) {
    this.connection = connection
    this.raw = connection.socket
    this.options = options
    this.deadline = options.deadlines.now + options.handshakeMillis
    options.deadlines.watch(this)
    this.raw.on("data", this.onBytes).on("end", this.onGone)
    if (first !== undefined) this.take(first)
  }

  private take(bytes: Buffer): void {
    const { held } = this
    held.add(bytes)
    if (held.bytes.length < this.wanted) return
    const hello = readClientHello(held.bytes)
    if (hello === "more" && held.bytes.length <= maxHelloBytes && ++this.looks < maxLooks) {
      this.wanted = helloWants(held.bytes)
      return
    }
    this.raw.off("data", this.onBytes).pause()
    if (typeof hello === "string") {
      this.fail("not-tls")
      return
    }
    const serverName = canonicalHost(hello.serverName)
    if (isValidation(hello.protocols)) this.validate(serverName)
    else if (!this.options.admit(this.connection, serverName)) this.refuse(internalError, "shed")
    else
      this.options.serverNames.find(serverName, (context) => this.handshake(serverName, context), {
        ticket: hello.ticket,
        still: () => !this.over
      })
  }

  /** RFC 8737 §3: the handshake is the whole answer, nothing is read or served on this connection. */
  private validate(serverName: string): void {
    const context = this.options.challenges.context(serverName)
    if (context === undefined) {
      this.refuse(noApplicationProtocol, "no-challenge")
      return
    }
    this.secure(context, validationProtocols, (socket) => {
      this.options.onValidated()
      socket.destroySoon()
    })
  }

  private handshake(serverName: string, context: SecureContext | undefined): void {
    if (this.over) return
    if (context === undefined) {
      this.refuse(unrecognizedName, "no-certificate")
      return
    }
    this.secure(context, protocols, (socket) => this.options.onSecure(this.connection, socket, serverName))
  }

  private refuse(alert: Buffer, reason: string): void {
    this.raw.end(alert)
    this.raw.once("finish", () => this.raw.destroy())
    this.fail(reason)
  }

  private secure(context: SecureContext, alpn: DataView, done: (socket: TLSSocket) => void): void {
    this.raw.unshift(this.held.bytes)
    this.held.drop(this.held.bytes.length)
    const socket = new TLSSocket(this.raw, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: alpn,
      allowHalfOpen: true,
      highWaterMark: mediumBytes // one piece of a long body waits at a time
    } as never)
    this.secured = socket
    const onClose = () => this.fail(socket.errored === null ? "alert" : "error")
    socket.on("error", ignore).on("close", onClose)
    // Nothing can be read before the handshake is done, but a client that leaves during it is only noticed by a socket that is being read.
    socket.on("end", this.onGone).resume()
    socket.on("secure", () => {
      if (this.over) return
      // The listeners stay, and do nothing any more: taking them off costs more than the few hundred bytes that they keep.
      this.finish()
      done(socket)
    })
  }

  private finish(): void {
    this.over = true
    this.options.deadlines.forget(this)
  }

  private fail(reason: string): void {
    if (this.over) return
    this.finish()
    this.options.onFailed(reason)
    this.secured?.destroy()
    if (!this.raw.writableEnded) this.raw.destroy()
  }

  onDeadline(): void {
    this.fail("timeout")
  }
}
