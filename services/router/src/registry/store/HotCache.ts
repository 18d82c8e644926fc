/**
 * Decoded records that were asked for lately.
 *
 * Owns: the bound: what was not asked for since the last so many others came is let go. Two generations instead of a list in order of use: a hit
 * in the younger one is a single look-up.
 */
export class HotCache<V> {
  private readonly max: number
  private young = new Map<string, V>()
  private old = new Map<string, V>()

  /** Holds from `max` to twice as many. */
  constructor(max: number) {
    this.max = max
  }

  get(key: string): V | undefined {
    const young = this.young.get(key)
    if (young !== undefined) return young
    const old = this.old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: V): void {
    if (this.young.size >= this.max) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(key, value)
  }

  delete(key: string): void {
    this.young.delete(key)
    this.old.delete(key)
  }

  clear(): void {
    this.young.clear()
    this.old.clear()
  }
}
