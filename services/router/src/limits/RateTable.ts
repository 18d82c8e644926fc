/**
 * The debts of many clients in memory of a fixed size.
 *
 * Owns: open addressing over typed arrays; a slot is free again when its debt has drained, which only the clock says: no timer and no sweep. Leaves to
 * `Rate.ts`: the arithmetic. Built against: a flood from many addresses that grows a table without end. Keys are kept whole, so two clients never
 * share a debt. When all slots of a key's neighbourhood are in use, the smallest debt there is forgotten, and counted: the limit is exact
 * as long as `evicted` is 0.
 */
import { randomBytes } from "node:crypto"
import type { ClientKey } from "./clientKey.ts"
import { debtAfter, type Rate, unitsPerRequest, waitFor } from "./Rate.ts"

/** Slots that may hold a key, one beside the other. */
const neighbours = 16

export class RateTable {
  /** Debts that were forgotten for want of room. */
  evicted = 0
  private readonly mask: number
  private readonly seed: number
  /** Three words a slot: whose limit (0: nobody's), and the client's key. */
  private readonly keys: Uint32Array
  private readonly debts: Float64Array
  /** The microsecond that a debt is of, and the one at which it has drained. */
  private readonly at: Float64Array
  private readonly freeAt: Float64Array

  /** `slots`: rounded up to a power of two; 36 bytes each. `seed`: what nobody outside may know. */
  constructor(slots: number, seed = randomBytes(4).readInt32LE()) {
    this.seed = seed
    const size = 2 ** Math.ceil(Math.log2(Math.max(neighbours, slots)))
    this.mask = size - 1
    this.keys = new Uint32Array(size * 3)
    this.debts = new Float64Array(size)
    this.at = new Float64Array(size)
    this.freeAt = new Float64Array(size)
  }

  /** Microseconds until this client may ask under the limit `owner` (not 0); 0: now. Changes nothing. `now` in microseconds, whole. */
  wait(owner: number, client: ClientKey, rate: Rate, now: number): number {
    const slot = this.find(owner, client)
    return slot < 0 ? 0 : waitFor(debtAfter(this.debts[slot]!, now - this.at[slot]!, rate), rate)
  }

  /** A request of this client was let through. */
  spend(owner: number, client: ClientKey, rate: Rate, now: number): void {
    const found = this.find(owner, client)
    const slot = found < 0 ? this.claim(owner, client, now) : found
    const debt = (found < 0 ? 0 : debtAfter(this.debts[slot]!, now - this.at[slot]!, rate)) + unitsPerRequest
    this.debts[slot] = debt
    this.at[slot] = Math.max(now, found < 0 ? now : this.at[slot]!)
    this.freeAt[slot] = this.at[slot]! + Math.ceil(debt / rate.drain)
  }

  /** Mixed with a seed of this process: nobody can choose addresses that fall together. */
  private start(owner: number, client: ClientKey): number {
    let hash = Math.imul(owner ^ this.seed, 0x9e3779b1)
    hash = Math.imul((hash ^ (hash >>> 15)) + client.high, 0x85ebca6b)
    hash = Math.imul((hash ^ (hash >>> 13)) + client.low, 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 16), 0x27d4eb2f)
    return (hash ^ (hash >>> 15)) & this.mask
  }

  private find(owner: number, client: ClientKey): number {
    const { keys, mask } = this
    let slot = this.start(owner, client)
    for (let step = 0; step < neighbours; step++, slot = (slot + 1) & mask) {
      const at = slot * 3
      if (keys[at + 2] === client.low && keys[at] === owner && keys[at + 1] === client.high) return slot
    }
    return -1
  }

  private claim(owner: number, client: ClientKey, now: number): number {
    const { freeAt, keys, mask } = this
    let slot = this.start(owner, client)
    let best = slot
    for (let step = 0; step < neighbours; step++, slot = (slot + 1) & mask) if (freeAt[slot]! < freeAt[best]!) best = slot
    if (freeAt[best]! > now) this.evicted++
    keys[best * 3] = owner
    keys[best * 3 + 1] = client.high
    keys[best * 3 + 2] = client.low
    return best
  }
}
