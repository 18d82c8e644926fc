/**
 * Certificates that applied entries name and that are not here yet.
 *
 * Owns: from which revision on each is waited for. Leaves to `followRegistry.ts`: fetching them.
 */
export class Missing {
  private readonly since = new Map<string, number>()

  get size(): number {
    return this.since.size
  }

  /** Is waited for from this revision on, if it was not before. */
  add(id: string, revision: number): void {
    if (!this.since.has(id)) this.since.set(id, revision)
  }

  /** False: nobody waited. */
  delete(id: string | null): boolean {
    return id !== null && this.since.delete(id)
  }

  /** The revision, of those up to `seen`, before the first that waits. */
  applied(seen: number): number {
    let applied = seen
    for (const revision of this.since.values()) applied = Math.min(applied, revision - 1)
    return applied
  }

  /** Up to `max` of them, the longest missed first. */
  first(max: number): ReadonlyArray<string> {
    const ids: Array<string> = []
    for (const id of this.since.keys()) {
      if (ids.length === max) break
      ids.push(id)
    }
    return ids
  }
}
