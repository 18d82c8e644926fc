/**
 * How many connections each client address has open (requirement E8).
 *
 * Owns: the count and the cap. An IPv6 client is its /64: it has as many addresses in it as it likes.
 */
import { addressBytes } from "@connect-domain/egress/AddressPolicy.ts"

const keyOf = (address: string): string => {
  if (!address.includes(":")) return address
  const bytes = addressBytes(address)
  return bytes === undefined ? address : bytes.slice(0, 8).join(".")
}

export class ClientCounts {
  private readonly max: number
  private readonly counts = new Map<string, number>()

  constructor(max: number) {
    this.max = max
  }

  /** False: it has as many as it may have. */
  enter(address: string): boolean {
    const key = keyOf(address)
    const count = this.counts.get(key) ?? 0
    if (count >= this.max) return false
    this.counts.set(key, count + 1)
    return true
  }

  leave(address: string): void {
    const key = keyOf(address)
    const count = this.counts.get(key) ?? 0
    if (count <= 1) this.counts.delete(key)
    else this.counts.set(key, count - 1)
  }
}
