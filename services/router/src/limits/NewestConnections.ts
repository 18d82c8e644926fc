/**
 * The open connections of port 80, of each client and of all.
 *
 * Owns: the rule at a limit: the oldest connection goes, the new one stays. A request there is answered in the turn in which its head is whole, so an old
 * connection is one that waits for a request, while a new one has one on its way. Built against: a flood of idle connections, from one client or from many,
 * that keeps a CA from asking for a pending token (A14): refusing newcomers, as the TLS port does, would let it.
 */
import { clientName } from "./clientKey.ts"

export class NewestConnections<C> {
  private readonly perClient: number
  private readonly most: number
  /** With whose it is. Maps and sets keep the order in which their members came. */
  private readonly all = new Map<C, string>()
  private readonly clients = new Map<string, Set<C>>()

  constructor(perClient: number, most: number) {
    this.perClient = perClient
    this.most = most
  }

  /** Returns the connection that has to go for this one. */
  enter(address: string, connection: C): C | undefined {
    const client = clientName(address)
    const full = (this.clients.get(client)?.size ?? 0) >= this.perClient
    const [gone] = full ? this.clients.get(client)! : this.all.size >= this.most ? this.all.keys() : []
    if (gone !== undefined) this.leave(gone)
    const own = this.clients.get(client)
    if (own === undefined) this.clients.set(client, new Set([connection]))
    else own.add(connection)
    this.all.set(connection, client)
    return gone
  }

  /** It is closed. */
  leave(connection: C): void {
    const client = this.all.get(connection)
    if (client === undefined) return
    this.all.delete(connection)
    const own = this.clients.get(client)!
    own.delete(connection)
    if (own.size === 0) this.clients.delete(client)
  }
}
