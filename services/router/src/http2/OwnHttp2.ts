/** All HTTP/2 connections of the edge's own codec: accepting, draining, ending. */
import type { Socket } from "node:net"
import type { ClientPeer, Edge } from "../client/Edge.ts"
import { Roster } from "../Roster.ts"
import { Http2Connection } from "./Http2Connection.ts"
import type { Http2Codec } from "./nodeHttp2.ts"

export class OwnHttp2 implements Http2Codec {
  private readonly edge: Edge
  private readonly connections = new Roster<{ place: number; readonly connection: Http2Connection }>()

  constructor(edge: Edge) {
    this.edge = edge
  }

  accept(socket: Socket, peer: ClientPeer): void {
    const connection = new Http2Connection(this.edge, socket, peer)
    const member = { place: 0, connection }
    this.connections.add(member)
    socket.once("close", () => this.connections.remove(member))
    if (this.edge.draining) connection.drain()
  }

  drain(): void {
    for (const { connection } of this.connections.list()) connection.drain()
  }

  destroy(): void {
    for (const { connection } of this.connections.list()) connection.destroy()
  }
}
