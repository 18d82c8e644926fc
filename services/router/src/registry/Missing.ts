/**
 * Certificates that applied entries name and that are not here yet.
 *
 * Owns: from which revision on each is waited for, whose turn it is to be asked for, and giving up: one that no bucket has must not hold back what is
 * said of everybody else. Leaves to `followRegistry.ts`: asking. What was given up still comes by the watch.
 */

/** A certificate that was not there is asked for again after so long, milliseconds, and given up after so many times. */
const againMillis = 400
const maxTries = 4
/** How many are looked at for each that is asked for: most may have been asked for just now. */
const looksEach = 8

export class Missing {
  /** In the order of their revisions, since these grow. */
  private readonly since = new Map<string, number>()
  private readonly tried = new Map<string, { readonly times: number; readonly at: number }>()
  private readonly givenUp = new Set<string>()
  /** Goes on behind the lowest that was known: what stands before it is here or was given up. */
  private order = this.since.entries()
  private lowest: [id: string, revision: number] | undefined
  private turns = this.since.keys()

  /** That hold the applied revision back. */
  get waiting(): number {
    return this.since.size
  }

  /** That are waited for no more. */
  get absent(): number {
    return this.givenUp.size
  }

  /** A full look begins: revisions begin anew, and so does the wait for what is still missed. */
  clear(): void {
    this.since.clear()
    this.tried.clear()
    this.givenUp.clear()
    this.lowest = undefined
    this.order = this.since.entries()
    this.turns = this.since.keys()
  }

  /** Is waited for from this revision on, if it was not before. */
  add(id: string, revision: number): void {
    if (!this.since.has(id) && !this.givenUp.has(id)) this.since.set(id, revision)
  }

  /** False: nobody waited. */
  delete(id: string | null): boolean {
    if (id === null) return false
    this.tried.delete(id)
    return this.since.delete(id) || this.givenUp.delete(id)
  }

  /** The revision, of those up to `seen`, before the first that waits. */
  applied(seen: number): number {
    while (this.lowest === undefined || this.since.get(this.lowest[0]) !== this.lowest[1]) {
      if (this.since.size === 0) return seen
      const next = this.order.next()
      // An iterator that has ended does not go on when something is added.
      if (next.done) this.order = this.since.entries()
      else this.lowest = next.value
    }
    return Math.min(seen, this.lowest[1] - 1)
  }

  /** Up to `max` of them, by turns. */
  next(max: number, now: number): ReadonlyArray<string> {
    const ids: Array<string> = []
    const looks = Math.min(this.since.size, max * looksEach)
    for (let looked = 0; looked < looks && ids.length < max; looked++) {
      let turn = this.turns.next()
      if (turn.done) {
        this.turns = this.since.keys()
        turn = this.turns.next()
      }
      const id = turn.value!
      if (now - (this.tried.get(id)?.at ?? Number.NEGATIVE_INFINITY) >= againMillis) ids.push(id)
    }
    return ids
  }

  /** It was asked for and was not there. True: it is given up. */
  notFound(id: string, now: number): boolean {
    if (!this.since.has(id)) return false
    const times = (this.tried.get(id)?.times ?? 0) + 1
    if (times < maxTries) {
      this.tried.set(id, { times, at: now })
      return false
    }
    this.delete(id)
    this.givenUp.add(id)
    return true
  }
}
