/**
 * The two listening sockets: TLS, and port 80.
 *
 * Owns: accepting, the handshake, choosing the protocol, draining (E14). Leaves to `Http1Connection.ts` and `nodeHttp2.ts`: what is spoken then.
 */
import { createServer, type Server, type Socket } from "node:net"
import { performance } from "node:perf_hooks"
import type { TLSSocket } from "node:tls"
import type { AlpnChallenges } from "../challenge/AlpnChallenges.ts"
import { decidePlain } from "../challenge/decidePlain.ts"
import { type ClientPeer, clientPeer, type Decide, decideTls, type Edge } from "../client/Edge.ts"
import { Http1Connection } from "../client/Http1Connection.ts"
import { forgetListeners, forgetOwnListeners } from "../forgetListeners.ts"
import { type Http2Codec, NodeHttp2 } from "../http2/nodeHttp2.ts"
import { OwnHttp2 } from "../http2/OwnHttp2.ts"
import type { NewestConnections } from "../limits/NewestConnections.ts"
import { Roster } from "../Roster.ts"
import { Accepted } from "./Accepted.ts"
import type { ClientCounts } from "./ClientCounts.ts"
import { unmapped } from "./clientAddress.ts"
import { readProxied, type TrustedProxies } from "./readProxied.ts"
import { type Accepting, SecureAccept } from "./SecureAccept.ts"
import type { ServerNames } from "./ServerNames.ts"

export interface Address {
  /** Absent: all addresses, IPv4 and IPv6. */
  readonly host?: string
  readonly port: number
  /** Several processes may listen here, the kernel spreads connections among them (Linux). */
  readonly reusePort?: boolean
}

export interface ListenersOptions {
  readonly edge: Edge
  readonly serverNames: ServerNames
  readonly challenges: AlpnChallenges
  /** In redirects. Default: the port that the TLS listener got. */
  readonly publicHttpsPort?: number | undefined
  readonly handshakeMillis: number
  /** Which codec speaks HTTP/2. */
  readonly http2: "own" | "node"
  /** Connections per client address on the TLS port. */
  readonly clients: ClientCounts
  /** Those of port 80. */
  readonly plainSockets: NewestConnections<Socket>
  /** Balancers that send a PROXY header; undefined: nobody does. */
  readonly proxies: TrustedProxies | undefined
  /** Connections of all clients together on the TLS port. */
  readonly maxConnections: number
}

/** `first`: bytes that were read already, behind a PROXY header. */
type Identified = (accepted: Accepted, first: Buffer | undefined) => void

const ignore = (): void => {}
const drainPollMillis = 20
/** A connection younger than this has a request or a handshake under way even where none can be seen yet: its client just asked for it. */
const youngMillis = 3000
const backlog = 4096

export class Listeners {
  /** Handshakes that failed, by reason. */
  readonly failedHandshakes = new Map<string, number>()
  readonly handshakes = { full: 0, resumed: 0, validation: 0 }
  private readonly options: ListenersOptions
  private readonly http2: Http2Codec
  private readonly accepted = new Roster<Accepted>()
  private readonly plain: Server
  private readonly secure: Server
  private readonly accepting: Accepting<Accepted>

  constructor(options: ListenersOptions) {
    this.options = options
    const { challenges, edge, handshakeMillis, serverNames } = options
    this.accepting = {
      ...{ deadlines: edge.deadlines, serverNames, challenges, handshakeMillis },
      admit: (accepted, serverName) => this.admitHandshake(accepted, serverName),
      onSecure: (accepted, socket, serverName) => this.onSecure(accepted, socket, serverName),
      onValidated: () => this.handshakes.validation++,
      onFailed: (reason) => this.failedHandshakes.set(reason, (this.failedHandshakes.get(reason) ?? 0) + 1)
    }
    this.http2 = options.http2 === "node" ? new NodeHttp2(options.edge) : new OwnHttp2(options.edge)
    const sockets = { allowHalfOpen: true, noDelay: true }
    this.plain = createServer(sockets, (socket) => this.identify(socket, this.onPlain))
    this.secure = createServer(sockets, (socket) => this.identify(socket, this.onRaw))
    this.secure.maxConnections = options.maxConnections
    this.secure.on("drop", () => options.edge.gate.count("connections"))
  }

  /** Listens on both; rejects with a sentence that names a taken port. Returns the ports. */
  async listen(http: Address, https: Address): Promise<{ readonly http: number; readonly https: number }> {
    const ports = { https: await listenOn(this.secure, https), http: await listenOn(this.plain, http) }
    this.decidePlain = decidePlain(this.options.publicHttpsPort ?? ports.https)
    return ports
  }

  private decidePlain: Decide = decidePlain(443)

  private track(socket: Socket): Accepted {
    const accepted = new Accepted(socket)
    this.accepted.add(accepted)
    socket.on("error", ignore)
    socket.on("close", () => this.left(accepted))
    return accepted
  }

  /** The one place that hears of a socket's end: a listener costs a connection more than what most of them do. */
  private left(accepted: Accepted): void {
    const { clients, edge, plainSockets } = this.options
    this.accepted.remove(accepted)
    accepted.accept?.onGone()
    if (accepted.client !== "") clients.leave(accepted.client)
    if (accepted.use !== undefined) edge.gate.disconnected(accepted.use)
    if (accepted.protocol !== "") edge.observer.connectionClosed(accepted.protocol)
    if (accepted.protocol === "http") plainSockets.leave(accepted.socket)
    forgetListeners(accepted.socket)
    const { secured } = accepted
    secured?.on("close", forgetOwnListeners)
  }

  private readonly onPlain: Identified = (accepted, first) => {
    const { edge, plainSockets } = this.options
    const { address, socket } = accepted
    const oldest = plainSockets.enter(address, socket)
    if (oldest !== undefined) {
      edge.gate.count("plain-connections")
      oldest.destroy()
    }
    if (first !== undefined) socket.unshift(first)
    this.serve(accepted, socket, clientPeer({ address, scheme: "http", serverName: "" }), (...request) => this.decidePlain(...request))
  }

  /** Who the client is. */
  private identify(socket: Socket, next: Identified): void {
    const accepted = this.track(socket)
    const address = unmapped(socket.remoteAddress ?? "")
    accepted.address = address
    const { edge, handshakeMillis, proxies } = this.options
    if (address === "")
      socket.destroy() // reset before it was accepted: nobody is there
    else if (proxies === undefined) next(accepted, undefined)
    else if (!proxies.trusts(address))
      socket.destroy() // E7: whoever is no balancer of ours has no business here
    else
      readProxied(socket, { deadlines: edge.deadlines, millis: handshakeMillis }, (client, first) => {
        accepted.address = client || address
        next(accepted, first)
      })
  }

  /** Whether this client may have one more connection on the TLS port. */
  private admit(accepted: Accepted): boolean {
    const { clients, edge } = this.options
    const client = clients.enter(accepted.address)
    if (client === undefined) {
      edge.gate.count("client-connections")
      return false
    }
    accepted.client = client
    return edge.gate.connect(accepted.address)
  }

  private readonly onRaw: Identified = (accepted, first) => {
    if (this.admit(accepted)) accepted.accept = new SecureAccept(accepted, this.accepting, first)
    else accepted.socket.destroy()
  }

  /** False: the hostname has as many connections as it may have, or its part of an overload is shed. */
  private admitHandshake(accepted: Accepted, serverName: string): boolean {
    const { applications, gate, table } = this.options.edge
    const entry = table.find(serverName)
    if (entry === undefined) return true
    accepted.use = gate.handshake(entry, applications.policyOf(entry).limits)
    return accepted.use !== undefined
  }

  private onSecure(accepted: Accepted, socket: TLSSocket, serverName: string): void {
    accepted.secured = socket
    const peer = clientPeer({ address: accepted.address, scheme: "https", serverName, ends: accepted.socket })
    this.handshakes[socket.isSessionReused() ? "resumed" : "full"]++
    if (socket.alpnProtocol !== "h2") {
      this.serve(accepted, socket, peer, decideTls)
      return
    }
    this.opened(accepted, "h2")
    this.http2.accept(socket, peer)
  }

  private serve(accepted: Accepted, socket: Socket, peer: ClientPeer, decide: Decide): void {
    accepted.since = performance.now()
    accepted.http1 = new Http1Connection(this.options.edge, socket, peer, decide)
    this.opened(accepted, peer.scheme)
  }

  private opened(accepted: Accepted, protocol: Accepted["protocol"]): void {
    accepted.protocol = protocol
    this.options.edge.observer.connectionOpened(protocol)
  }

  /**
   * Stops accepting, lets requests in flight finish, ends what is left after `millis`: tunnels and event streams too. At once when nothing is.
   * Idle connections are closed, but not before they are three seconds old: their first request is probably on its way.
   */
  async drain(millis: number): Promise<void> {
    this.plain.close()
    this.secure.close()
    this.http2.drain()
    const until = performance.now() + millis
    while (this.accepted.size > 0 && performance.now() < until) {
      this.closeIdle(performance.now() - youngMillis)
      await new Promise((resolve) => setTimeout(resolve, drainPollMillis))
    }
    this.http2.destroy()
    for (const { socket } of this.accepted.list()) socket.destroy()
    // What was open is told before the log and the traffic are closed.
    while (this.accepted.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  /** `before`: since when a connection must have been as it is to count. */
  private closeIdle(before: number): void {
    for (const { socket, since, protocol, http1 } of this.accepted.list()) {
      if (since >= before) continue
      if (http1?.idle) http1.closeGently()
      else if (protocol === "") socket.destroy()
    }
  }

  get open(): number {
    return this.accepted.size
  }
}

const listenOn = (server: Server, address: Address): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const place = `${address.host ?? "*"}:${address.port}`
      const why =
        error.code === "EADDRINUSE" ? "the port is taken by another program" : error.code === "EACCES" ? "no permission" : error.message
      reject(new Error(`can not listen on ${place}: ${why}`))
    })
    const { reusePort = false } = address
    server.listen({ port: address.port, backlog, reusePort, ...(address.host === undefined ? {} : { host: address.host }) }, () => {
      const bound = server.address()
      resolve(typeof bound === "object" && bound !== null ? bound.port : address.port)
    })
  })
