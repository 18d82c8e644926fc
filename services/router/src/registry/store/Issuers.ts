/**
 * What certificates of one issuer have in common, stored once: the chain above the leaf, and a leaf that others are told by.
 *
 * Owns: which common part a certificate belongs to, and letting one go when nothing refers to it any more. Leaves to `likeness.ts`: the
 * differences; to `certificateRecord.ts`: the rest of a certificate. An issuer that changes what it writes (or signs several kinds of keys)
 * gets another reference, up to four at a time.
 */
import { createHash } from "node:crypto"
import { Reference } from "./likeness.ts"

/** 16 bits of a record name the issuer; 0 is none. */
const maxIssuers = 65_535
const maxPerChain = 4
/** A leaf that differs in more than this part deserves a reference of its own. */
const alike = 0.7
const maxLeaf = 65_535

export interface Issuer {
  readonly id: number
  /** DER of the certificates above the leaf. */
  readonly above: ReadonlyArray<Buffer>
  readonly reference: Reference
}

interface Held extends Issuer {
  readonly chain: string
  /** Records that refer to it. */
  uses: number
}

export interface Likeness {
  readonly issuer: number
  readonly difference: Buffer
}

/** What stands above a leaf, by a key that only the same has. */
export interface Chain {
  readonly above: ReadonlyArray<Buffer>
  readonly key: string
}

export const chainOf = (above: ReadonlyArray<Buffer>): Chain => {
  const hash = createHash("sha256")
  for (const each of above) hash.update(`${each.length}.`).update(each)
  return { above, key: hash.digest("base64") }
}

export class Issuers {
  private readonly byId: Array<Held | undefined> = [undefined]
  private readonly byChain = new Map<string, Array<Held>>()
  private readonly freeIds: Array<number> = []

  get size(): number {
    return this.byId.length - 1 - this.freeIds.length
  }

  get(id: number): Issuer | undefined {
    return this.byId[id]
  }

  retain(id: number): void {
    const issuer = this.byId[id]
    if (issuer === undefined) throw new Error("a stored certificate names an issuer that is not there")
    issuer.uses++
  }

  release(id: number): void {
    const issuer = this.byId[id]!
    if (--issuer.uses > 0) return
    this.byId[id] = undefined
    this.freeIds.push(id)
    const rest = this.byChain.get(issuer.chain)!.filter((each) => each !== issuer)
    if (rest.length === 0) this.byChain.delete(issuer.chain)
    else this.byChain.set(issuer.chain, rest)
  }

  /** The leaf by its differences from the likest reference; undefined: there is no room for what this chain needs. */
  tell(leaf: Buffer, { above, key }: Chain): Likeness | undefined {
    if (leaf.length > maxLeaf) return undefined
    const known = this.byChain.get(key) ?? []
    let best: Likeness | undefined
    for (const { id, reference } of known) {
      const difference = reference.encode(leaf)
      if (best === undefined || difference.length < best.difference.length) best = { issuer: id, difference }
    }
    if (best !== undefined && (best.difference.length < leaf.length * alike || known.length >= maxPerChain)) return best
    const id = this.freeIds.pop() ?? this.byId.length
    if (id > maxIssuers) return best
    const copies = { above: above.map((each) => Buffer.from(each)), reference: new Reference(Buffer.from(leaf)) }
    this.add({ id, ...copies })
    return { issuer: id, difference: copies.reference.encode(leaf) }
  }

  /** Also for issuers out of a snapshot, before any record refers to them. */
  add(issuer: Issuer): void {
    const chain = chainOf(issuer.above).key
    const held: Held = { ...issuer, chain, uses: 0 }
    while (this.byId.length < issuer.id) this.freeIds.push(this.byId.push(undefined) - 1)
    this.byId[issuer.id] = held
    this.byChain.set(chain, [...(this.byChain.get(chain) ?? []), held])
  }

  *[Symbol.iterator](): Generator<Issuer> {
    for (const issuer of this.byId) if (issuer !== undefined) yield issuer
  }
}
