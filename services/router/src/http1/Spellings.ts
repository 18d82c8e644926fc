/**
 * What the spellings of something mean, remembered, so that a head costs look-ups instead of reading.
 *
 * Owns: the bounds of that memory. Leaves to its users: the meaning. Built against: a memory of whole heads. V8 keeps a piece of a string as a view of
 * the whole, so one remembered name would keep a head's cookies in memory with it: what is remembered, and whatever its meaning is made of, is a copy.
 */
const maxLength = 64

export class Spellings<M> {
  private readonly known = new Map<string, M>()
  private readonly most: number
  private readonly read: (spelling: string) => M

  /** `most`: spellings remembered at a time. */
  constructor(most: number, read: (spelling: string) => M) {
    this.most = most
    this.read = read
  }

  meaningOf(spelling: string): M {
    const known = this.known.get(spelling)
    return known === undefined ? this.learn(Buffer.from(spelling).toString()) : known
  }

  private learn(copy: string): M {
    const meaning = this.read(copy)
    if (copy.length > maxLength) return meaning
    if (this.known.size >= this.most) this.known.clear()
    this.known.set(copy, meaning)
    return meaning
  }
}
