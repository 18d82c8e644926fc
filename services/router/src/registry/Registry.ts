/**
 * What this edge knows: held hostnames, sealed certificates, pending challenge tokens. The hot path reads it, one follower writes it.
 *
 * Owns: when a name is served and when it is dropped, when a certificate's key is destroyed, which revision counts as applied. Leaves to
 * `Holdings.ts`: the form in memory; to `BucketLook.ts`: what the buckets have; to `followRegistry.ts`: NATS; to `Snapshot.ts`: the disk. Built
 * against: an edge that forgets names because a bucket is empty, new, half-filled or an older copy of itself, a late put that revives a released
 * name, and the next owner of a name who inherits a certificate.
 */
import { fromRegistryKey } from "@connect-domain/domain/Hostname.ts"
import type { CertificateEntry, ChallengeEntry, HostnameEntry, RegistryMeta } from "@connect-domain/messages/buckets.ts"
import { BucketLook } from "./BucketLook.ts"
import { Challenges } from "./Challenges.ts"
import { Holdings } from "./Holdings.ts"
import { type HostnameTable, wildcardOf } from "./HostnameTable.ts"
import { Missing } from "./Missing.ts"
import { noJournal, type RegistryJournal } from "./RegistryJournal.ts"

export class Registry implements HostnameTable {
  /** Serves a changed name from now on: contexts of replaced certificates can be let go. */
  onCertificateChange: (hostname: string) => void = () => {}
  /** A certificate and its key are no longer held here. */
  onCertificateGone: (id: string) => void = () => {}
  /** Something was applied that a heartbeat should report. */
  onApplied: () => void = () => {}
  journal: RegistryJournal = noJournal
  meta: RegistryMeta | undefined
  /** The last revision of each bucket that was looked at. */
  seen = { hostnames: 0, challenges: 0 }
  holdings = new Holdings()
  readonly challenges = new Challenges()
  private readonly names = new BucketLook(() => this.holdings.names)
  private readonly certificates = new BucketLook(() => this.holdings.certificates)
  /** `_meta` was seen in the bucket as it is now; what an earlier bucket said takes nothing away. */
  private metaPresent = false
  private readonly missing = new Missing()

  /** Names that are served. */
  get size(): number {
    return this.holdings.held
  }

  /** There is something to serve by: the bucket was read once, or a snapshot was there. */
  get ready(): boolean {
    return this.names.complete || this.holdings.names.size > 0
  }

  /** The bucket was read to its end, and the certificates of its names are here. */
  get current(): boolean {
    return this.names.complete && this.missing.waiting === 0
  }

  /** The revision of `hostnames` up to which everything, certificates included, is applied. */
  get appliedRevision(): number {
    return this.missing.applied(this.seen.hostnames)
  }

  /** Certificates that are waited for. */
  get missingCount(): number {
    return this.missing.waiting
  }

  /** Certificates that served names need and that no bucket seems to have. */
  get absentCount(): number {
    return this.missing.absent
  }

  /** Up to `max` of those that are waited for, by turns. */
  missingCertificates(max: number): ReadonlyArray<string> {
    return this.missing.next(max, performance.now())
  }

  /** The bucket was asked for it and had none. */
  certificateNotFound(id: string): void {
    if (this.missing.notFound(id, performance.now())) this.onApplied()
  }

  find(host: string): HostnameEntry | undefined {
    // D8: an exact name, held by whomever, is never shadowed by a wildcard; a released one is no longer a name.
    return this.holdings.heldName(host) ?? this.holdings.heldName(wildcardOf(host))
  }

  certificateOf(entry: HostnameEntry): CertificateEntry | undefined {
    if (entry.certificate_id === null) return undefined
    const certificate = this.holdings.certificate(entry.certificate_id)
    return certificate !== undefined && certificate.claim_id === entry.claim_id ? certificate : undefined
  }

  challenge(token: string, host: string): string | undefined {
    return this.challenges.find(token, host)
  }

  alpnChallenge(host: string): ChallengeEntry | undefined {
    return this.challenges.findAlpn(host)
  }

  /** A full look at the hostnames bucket begins. What is served stays. */
  beginHostnames(): void {
    this.names.begin()
    // Revisions may begin anew: what was applied of the former bucket is not said of this one.
    this.seen.hostnames = 0
    this.missing.clear()
    this.onApplied()
    this.metaPresent = false
  }

  /** Every key that stood in the bucket was seen once. */
  endHostnames(revision: number): void {
    this.names.complete = true
    this.seen.hostnames = revision
    this.dropAbsent()
    this.onApplied()
  }

  putMeta(meta: RegistryMeta, revision: number): void {
    this.meta = meta
    this.metaPresent = true
    this.seen.hostnames = revision
    this.dropAbsent()
    this.onApplied()
  }

  putHostname(entry: HostnameEntry, revision: number): void {
    this.seen.hostnames = revision
    // In a full look by an edge that has a snapshot nearly all are known already: those are not decoded.
    const same = this.holdings.sameName(entry)
    if (same !== 0) this.expectCertificate(entry, revision)
    else this.replace(entry, revision)
    this.names.see(same !== 0 ? same : this.holdings.names.find(entry.hostname))
    this.onApplied()
  }

  private expectCertificate({ certificate_id, status }: HostnameEntry, revision: number): void {
    if (status === "released") this.missing.delete(certificate_id)
    else if (certificate_id !== null && !this.hasCertificate(certificate_id)) this.missing.add(certificate_id, revision)
  }

  private replace(entry: HostnameEntry, revision: number): void {
    const known = this.holdings.name(entry.hostname)
    if (known !== undefined && known.version > entry.version) return
    const changed = this.holdings.putName(entry)
    const id = entry.certificate_id
    const before = known?.certificate_id ?? null
    if (before !== id) this.missing.delete(before)
    this.expectCertificate(entry, revision)
    if (!changed) return
    this.journal.hostname(entry)
    if (before !== id || entry.status !== known?.status) this.onCertificateChange(entry.hostname)
    if (before !== null) this.dropUnneeded(before)
  }

  /** The key is no longer in the bucket. That says nothing by itself: only a tombstone or a complete epoch ends a name. */
  markerAt(key: string, revision: number): void {
    this.seen.hostnames = revision
    const hostname = fromRegistryKey(key)
    if (hostname !== undefined) this.names.unsee(this.holdings.names.find(hostname))
    this.onApplied()
  }

  /**
   * An epoch takes away what it does not hold once, when it is complete for the first time. Names of later are ended by tombstones only: the same epoch
   * without them is a store that lost what it had acknowledged.
   */
  private dropAbsent(): void {
    const { meta, names } = this
    if (!names.complete || !this.metaPresent || !meta?.complete || names.present < meta.count) return
    const { epoch } = meta
    if (this.holdings.epochs.includes(epoch)) return
    const drop = (ref: number) => {
      const { certificate_id, hostname } = this.holdings.decodeName(ref)
      this.holdings.removeName(hostname)
      this.missing.delete(certificate_id)
      this.journal.dropped(hostname)
      this.onCertificateChange(hostname)
      if (certificate_id !== null) this.dropUnneeded(certificate_id)
    }
    names.sweepAbsent(drop, () => {
      this.holdings.putEpoch(epoch)
      this.journal.completed(epoch)
    })
  }

  putCertificate(entry: CertificateEntry): void {
    const changed = this.holdings.putCertificate(entry)
    this.certificates.see(this.holdings.certificates.find(entry.certificate_id))
    if (this.missing.delete(entry.certificate_id)) this.onApplied()
    if (!changed) return
    this.journal.certificate(entry)
    for (const hostname of this.holdings.namesServedWith(entry)) this.onCertificateChange(hostname)
  }

  /** The certifier removed it. Kept while a held entry is still served with it. */
  deleteCertificate(id: string): void {
    this.certificates.unsee(this.holdings.certificates.find(id))
    this.dropUnneeded(id)
  }

  /** A full look at the certificates bucket begins. */
  beginCertificates(): void {
    this.certificates.begin()
  }

  /** What was removed while this edge was away goes now (A13), unless it is still served with. */
  endCertificates(): void {
    this.certificates.complete = true
    this.certificates.sweepAbsent((ref) => this.dropUnneeded(this.holdings.certificates.keyOf(ref)))
  }

  /** Destroys a certificate that the bucket no longer has and that no held entry is served with. */
  private dropUnneeded(id: string): void {
    const { certificates } = this.holdings
    const ref = certificates.find(id)
    if (ref === 0) return
    if (this.certificates.sees(ref) || (certificates.markOf(ref) !== 0 && !this.certificates.complete)) return
    if (this.holdings.namesServedWith(this.holdings.decodeCertificate(ref, id)).length > 0) return
    this.holdings.removeCertificate(id)
    this.journal.certificateGone(id)
    this.onCertificateGone(id)
  }

  hasCertificate(id: string): boolean {
    return this.holdings.certificates.find(id) !== 0
  }

  beginChallenges(): void {
    this.challenges.begin()
    this.seen.challenges = 0
    this.onApplied()
  }

  endChallenges(revision: number): void {
    this.challenges.end()
    this.seen.challenges = revision
    this.onApplied()
  }

  putChallenge(entry: ChallengeEntry, revision: number): void {
    this.challenges.put(entry)
    this.seen.challenges = revision
    this.onApplied()
  }

  deleteChallenge(token: string, revision: number): void {
    this.challenges.delete(token)
    this.seen.challenges = revision
    this.onApplied()
  }
}
