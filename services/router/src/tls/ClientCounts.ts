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

  /** False: it has as many as it may have. */
  enter(address: string): boolean {
    const key = clientName(address)
    const count = this.counts.get(key) ?? 0
    if (count >= this.max) return false
    this.counts.set(key, count + 1)
    return true
  }

  leave(address: string): void {
    const key = clientName(address)
    const count = this.counts.get(key) ?? 0
    if (count <= 1) this.counts.delete(key)
    else this.counts.set(key, count - 1)
  }
}
