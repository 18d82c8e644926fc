/** What is due next: a binary heap over typed pairs; equal instants in the order of indices, so that a year can be repeated. */
export class Agenda {
  readonly #at: Array<number> = []
  readonly #index: Array<number> = []

  get nextAt(): number {
    return this.#at[0] ?? Number.POSITIVE_INFINITY
  }

  put(at: number, index: number): void {
    let here = this.#at.length
    while (here > 0) {
      const above = (here - 1) >> 1
      if (!this.#isBefore(at, index, above)) break
      this.#move(above, here)
      here = above
    }
    this.#at[here] = at
    this.#index[here] = index
  }

  /** The index of what is due first; -1 when nothing is. */
  take(): number {
    const size = this.#at.length
    if (size === 0) return -1
    const first = this.#index[0]!
    const [at, index] = [this.#at.pop()!, this.#index.pop()!]
    if (size === 1) return first
    let here = 0
    for (;;) {
      const left = 2 * here + 1
      if (left >= size - 1) break
      const right = left + 1
      const least = right < size - 1 && this.#isBefore(this.#at[right]!, this.#index[right]!, left) ? right : left
      if (this.#isBefore(at, index, least)) break
      this.#move(least, here)
      here = least
    }
    this.#at[here] = at
    this.#index[here] = index
    return first
  }

  #isBefore(at: number, index: number, other: number): boolean {
    const there = this.#at[other]!
    return at < there || (at === there && index < this.#index[other]!)
  }

  #move(from: number, to: number): void {
    this.#at[to] = this.#at[from]!
    this.#index[to] = this.#index[from]!
  }
}
