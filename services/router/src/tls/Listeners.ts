/**
 * The two listening sockets: TLS, and port 80.
 *
 * Owns: accepting, the handshake, choosing the protocol, draining (E14). Leaves to `Http1Connection.ts` and `nodeHttp2.ts`: what is spoken then.
 */
import { createServer, type Server, type Socket } from "node:net"
import type { TLSSocket } from "node:tls"
import type { AlpnChallenges } from "../challenge/AlpnChallenges.ts"
import { decidePlain } from "../challenge/decidePlain.ts"
import { type ClientPeer, decideTls, type Edge } from "../client/Edge.ts"
import { type Decide, Http1Connection } from "../client/Http1Connection.ts"
import { type Http2Codec, NodeHttp2 } from "../http2/nodeHttp2.ts"
import { OwnHttp2 } from "../http2/OwnHttp2.ts"
import type { NewestConnections } from "../limits/NewestConnections.ts"
import type { ClientCounts } from "./ClientCounts.ts"
import { readProxied, type TrustedProxies } from "./readProxied.ts"
import { SecureAccept } from "./SecureAccept.ts"
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

const drainPollMillis = 20
/** A connection younger than this has a request or a handshake under way even where none can be seen yet: its client just asked for it. */
const youngMillis = 3000
const backlog = 4096

const peerAddress = (socket: Socket): string => {
  const address = socket.remoteAddress ?? ""
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address
}

export class Listeners {
  /** Handshakes that failed, by reason. */
  readonly failedHandshakes = new Map<string, number>()
  readonly handshakes = { full: 0, resumed: 0, validation: 0 }
  private readonly options: ListenersOptions
  private readonly http2: Http2Codec
  /** With when each was ready for its first request. */
  private readonly connections = new Map<Http1Connection, number>()
  /** Every socket, with when it was accepted. */
  private readonly sockets = new Map<Socket, number>()
  /** Those of which no client's protocol is served yet: PROXY header or handshake. */
  private readonly unserved = new Set<Socket>()
  private readonly plain: Server
  private readonly secure: Server

  constructor(options: ListenersOptions) {
    this.options = options
    this.http2 = options.http2 === "node" ? new NodeHttp2(options.edge) : new OwnHttp2(options.edge)
    this.plain = createServer({ allowHalfOpen: true }, (socket) => this.onPlain(socket))
    this.secure = createServer({ allowHalfOpen: true }, (socket) => this.onRaw(socket))
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

  private track(socket: Socket): void {
    this.sockets.set(socket, performance.now())
    this.unserved.add(socket)
    socket.on("error", () => {})
    socket.once("close", () => {
      this.sockets.delete(socket)
      this.unserved.delete(socket)
    })
  }

  private onPlain(socket: Socket): void {
    const { edge, plainSockets } = this.options
    this.identify(socket, (address, first) => {
      const oldest = plainSockets.enter(address, socket)
      socket.once("close", () => plainSockets.leave(socket))
      if (oldest !== undefined) {
        edge.gate.count("plain-connections")
        oldest.destroy()
      }
      if (first !== undefined) socket.unshift(first)
      this.unserved.delete(socket)
      this.serve(socket, { address, scheme: "http", serverName: "" }, (...request) => this.decidePlain(...request))
    })
  }

  /** Who the client is, by the socket or by a trusted balancer's word. */
  private identify(socket: Socket, next: (address: string, first: Buffer | undefined) => void): void {
    this.track(socket)
    const address = peerAddress(socket)
    const { edge, handshakeMillis, proxies } = this.options
    if (proxies === undefined) next(address, undefined)
    else if (!proxies.trusts(address))
      socket.destroy() // E7: whoever is no balancer of ours has no business here
    else readProxied(socket, { deadlines: edge.deadlines, millis: handshakeMillis }, (client, first) => next(client || address, first))
  }

  /** Whether this client may have one more connection on the TLS port. */
  private admit(socket: Socket, address: string): boolean {
    const { clients, edge } = this.options
    if (!clients.enter(address)) {
      edge.gate.count("client-connections")
      return false
    }
    socket.once("close", () => clients.leave(address))
    return edge.gate.connect(address)
  }

  private onRaw(socket: Socket): void {
    const { edge, serverNames, challenges, handshakeMillis } = this.options
    this.identify(socket, (address, first) => {
      if (!this.admit(socket, address)) {
        socket.destroy()
        return
      }
      new SecureAccept(socket, {
        admit: (serverName) => this.admitHandshake(socket, serverName),
        ...{ deadlines: edge.deadlines, serverNames, challenges, handshakeMillis, first },
        onSecure: (secured, serverName) => {
          this.unserved.delete(socket)
          this.onSecure(secured, { address, scheme: "https", serverName, ends: socket })
        },
        onValidated: () => this.handshakes.validation++,
        onFailed: (reason) => this.failedHandshakes.set(reason, (this.failedHandshakes.get(reason) ?? 0) + 1)
      })
    })
  }

  /** False: the hostname has as many connections as it may have, or its part of an overload is shed. */
  private admitHandshake(socket: Socket, serverName: string): boolean {
    const { applications, gate, table } = this.options.edge
    const entry = table.find(serverName)
    if (entry === undefined) return true
    const use = gate.handshake(entry, applications.policyOf(entry).limits)
    if (use !== undefined) socket.once("close", () => gate.disconnected(use))
    return use !== undefined
  }

  private onSecure(socket: TLSSocket, peer: ClientPeer): void {
    this.handshakes[socket.isSessionReused() ? "resumed" : "full"]++
    if (socket.alpnProtocol !== "h2") {
      this.serve(socket, peer, decideTls)
      return
    }
    this.options.edge.observer.connectionOpened("h2")
    socket.once("close", () => this.options.edge.observer.connectionClosed("h2"))
    this.http2.accept(socket, peer)
  }

  private serve(socket: Socket, peer: ClientPeer, decide: Decide): void {
    const { edge } = this.options
    const connection = new Http1Connection(edge, socket, peer, decide)
    this.connections.set(connection, performance.now())
    edge.observer.connectionOpened(peer.scheme)
    socket.once("close", () => {
      this.connections.delete(connection)
      edge.observer.connectionClosed(peer.scheme)
    })
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
    while (this.sockets.size > 0 && performance.now() < until) {
      this.closeIdle(performance.now() - youngMillis)
      await new Promise((resolve) => setTimeout(resolve, drainPollMillis))
    }
    this.http2.destroy()
    for (const socket of this.sockets.keys()) socket.destroy()
    // What was open is told before the log and the traffic are closed.
    while (this.sockets.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  /** `before`: when a connection must have been accepted to count. */
  private closeIdle(before: number): void {
    for (const [connection, since] of this.connections) if (connection.idle && since < before) connection.closeGently()
    for (const socket of this.unserved) if (this.sockets.get(socket)! < before) socket.destroy()
  }

  get open(): number {
    return this.sockets.size
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
