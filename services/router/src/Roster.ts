/**
 * A set whose members come and go all the time: connections, whatever has a deadline.
 *
 * Owns: the members, in no order; each knows its place. Built against: what a Set or Map costs V8 that is filled and emptied all the time. When it
 * makes a new table the old one points to the new one; once one of the old tables was promoted, every later one is kept alive, with all that
 * stood in it, until the next full collection: each young collection then copies megabytes of connections and requests that are long over.
 */
export interface Member {
  /** Where it stands in its roster; means nothing while it is in none. 0 will do for a new one. */
  place: number
}

export class Roster<M extends Member> {
  protected readonly members: Array<M> = []

  get size(): number {
    return this.members.length
  }

  has(member: M): boolean {
    return member.place < this.members.length && this.members[member.place] === member
  }

  add(member: M): void {
    if (!this.has(member)) member.place = this.members.push(member) - 1
  }

  /** False: it was not there. */
  remove(member: M): boolean {
    if (!this.has(member)) return false
    const last = this.members.pop()!
    if (last === member) return true
    last.place = member.place
    this.members[last.place] = last
    return true
  }

  /** All of them as they are now, to be walked through while some go. */
  list(): Array<M> {
    return this.members.slice()
  }

  clear(): void {
    this.members.length = 0
  }
}
