/**
 * Which names are served with a certificate: those that are held, name it, and are of its claim.
 *
 * Owns: an index over the store of names by what their records say of certificates. Leaves to `Holdings.ts`: telling it of records. A claim has a name
 * or two, so few records share a hash. Built against: a certificate for `*.customer.com` that goes while shop.customer.com is served with it, and a list
 * of names for each of a million certificates.
 */
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import { HashIndex } from "./HashIndex.ts"
import { certificateHash, hashOfCertificate, unpackHostname } from "./hostnameRecord.ts"
import type { RecordStore } from "./RecordStore.ts"

export class ServedWith {
  private readonly names: RecordStore
  private readonly index = new HashIndex(() => false)

  constructor(names: RecordStore) {
    this.names = names
  }

  /** A record that was put or adopted. */
  add(ref: number): void {
    const hash = this.hash(ref)
    if (hash >= 0) this.index.insert(hash, ref)
  }

  /** A record that is about to die. */
  remove(ref: number): void {
    const hash = this.hash(ref)
    if (hash >= 0) this.index.remove(hash, ref)
  }

  move(from: number, to: number): void {
    const hash = this.hash(to)
    if (hash >= 0) this.index.replace(hash, from, to)
  }

  private hash(ref: number): number {
    return certificateHash(this.names.valueOf(ref))
  }

  namesOf({ certificate_id, claim_id }: Pick<CertificateEntry, "certificate_id" | "claim_id">): ReadonlyArray<string> {
    const refs = this.index.under(hashOfCertificate(claim_id, certificate_id))
    const entries = refs.map((ref) => unpackHostname(this.names.keyOf(ref), this.names.valueOf(ref)))
    return entries.filter((entry) => entry.certificate_id === certificate_id && entry.claim_id === claim_id).map(({ hostname }) => hostname)
  }
}
