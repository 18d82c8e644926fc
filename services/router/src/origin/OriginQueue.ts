/**
 * Requests that wait for a connection to one origin, while it has all that it may have.
 *
 * Owns: whose turn it is, and who goes without when too many wait. Leaves to `OriginPool.ts`: connections and the time limit. Clients take turns; a
 * client's own requests go in their order. Built against: one client's flood that all others stand behind: whoever asks once waits for one round of
 * the clients, not for the flood. First come, first served within a client, because the wait is short and bounded: newest first would starve
 * those who waited longest, and answer a page's parts in reverse. A full queue drops the newest request of whoever has most in it.
 */
import type { Watched } from "../Deadlines.ts"

export interface Waiter extends Watched {
  /** Who asks, as `clientName` tells clients apart. */
  readonly client: string
  /** A connection may be used now: taken before this returns. */
  go(): void
  /** There is no room for it. */
  drop(): void
}

export class OriginQueue {
  size = 0
  private readonly most: number
  /** In the order of their turns; nobody here has no request. */
  private readonly clients = new Map<string, Array<Waiter>>()

  /** `most`: requests that may wait at once. */
  constructor(most: number) {
    this.most = most
  }

  /** Returns who goes without for it: itself, or another; undefined when there is room. */
  add(waiter: Waiter): Waiter | undefined {
    const dropped = this.size < this.most ? undefined : this.greediest(waiter)
    if (dropped === waiter) return waiter
    if (dropped !== undefined) this.remove(dropped)
    const own = this.clients.get(waiter.client)
    if (own === undefined) this.clients.set(waiter.client, [waiter])
    else own.push(waiter)
    this.size++
    return dropped
  }

  /** The newest request of the client that would have most with this one. */
  private greediest(waiter: Waiter): Waiter {
    let [most, found] = [this.clients.get(waiter.client)?.length ?? 0, waiter]
    for (const own of this.clients.values())
      if (own.length > most + 1) {
        most = own.length - 1
        found = own.at(-1)!
      }
    return found
  }

  /** Takes out the one whose turn it is. */
  next(): Waiter | undefined {
    const first = this.clients.entries().next().value
    if (first === undefined) return undefined
    const [client, own] = first
    const waiter = own.shift()!
    this.size--
    this.clients.delete(client)
    if (own.length > 0) this.clients.set(client, own) // behind the others
    return waiter
  }

  /** It waits no longer. */
  remove(waiter: Waiter): void {
    const own = this.clients.get(waiter.client)
    const at = own?.indexOf(waiter) ?? -1
    if (own === undefined || at < 0) return
    own.splice(at, 1)
    this.size--
    if (own.length === 0) this.clients.delete(waiter.client)
  }
}
