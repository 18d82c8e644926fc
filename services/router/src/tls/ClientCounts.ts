/**
 * How many connections each client address has open (requirement E8).
 *
 * Owns: the count and the cap. Leaves to `limits/clientKey.ts`: which addresses are one client.
 */
import { clientName } from "../limits/clientKey.ts"

export class ClientCounts {
  private readonly max: number
  private readonly counts = new Map<string, number>()

  constructor(max: number) {
    this.max = max
  }

  /** The client's name, for `leave`; undefined: it has as many as it may have. */
  enter(address: string): string | undefined {
    const client = clientName(address)
    const count = this.counts.get(client) ?? 0
    if (count >= this.max) return undefined
    this.counts.set(client, count + 1)
    return client
  }

  leave(client: string): void {
    const count = this.counts.get(client) ?? 0
    if (count <= 1) this.counts.delete(client)
    else this.counts.set(client, count - 1)
  }
}
