/**
 * What this edge knows: held hostnames, sealed certificates, pending challenge tokens. The hot path reads it, one follower writes it.
 *
 * Owns: when a name is served and when it is dropped; which revision counts as applied. Leaves to `followRegistry.ts`: NATS; to `Snapshot.ts`:
 * the disk. Built against: an edge that forgets names because a bucket is empty, new or half-filled, a late put that revives a released name,
 * and the next owner of a name who inherits a certificate.
 */
import type { CertificateEntry, ChallengeEntry, HostnameEntry, RegistryMeta } from "@connect-domain/messages/buckets.ts"
import { type HostnameTable, wildcardOf } from "./HostnameTable.ts"

/** Told of every change that the disk must outlive. */
export interface RegistryJournal {
  hostname(entry: HostnameEntry): void
  /** A name that a complete epoch no longer holds. */
  dropped(hostname: string): void
  certificate(entry: CertificateEntry): void
  certificateGone(id: string): void
  meta(meta: RegistryMeta): void
}

const noJournal: RegistryJournal = { hostname() {}, dropped() {}, certificate() {}, certificateGone() {}, meta() {} }

export class Registry implements HostnameTable {
  /** Serves a changed name from now on: contexts of replaced certificates can be let go. */
  onCertificateChange: (hostname: string) => void = () => {}
  /** Something was applied that a heartbeat should report. */
  onApplied: () => void = () => {}
  journal: RegistryJournal = noJournal
  meta: RegistryMeta | undefined
  /** The last revision of each bucket that was looked at. */
  seen = { hostnames: 0, challenges: 0 }
  private readonly entries = new Map<string, HostnameEntry>()
  private readonly certificates = new Map<string, CertificateEntry>()
  private readonly challenges = new Map<string, ChallengeEntry>()
  /** Names seen in the bucket since the last full look at it began. */
  private present = new Set<string>()
  private complete = false
  /** `_meta` was seen in the bucket as it is now; what an earlier bucket said takes nothing away. */
  private metaPresent = false
  private readonly presentChallenges = new Set<string>()
  /** Certificates that applied entries name and that are not here yet → the first revision that waits for them. */
  private readonly missing = new Map<string, number>()
  private held = 0

  /** Names that are served. */
  get size(): number {
    return this.held
  }

  /** There is something to serve by: the bucket was read once, or a snapshot was there. */
  get ready(): boolean {
    return this.complete || this.entries.size > 0
  }

  /** The bucket was read to its end, and the certificates of its names are here. */
  get current(): boolean {
    return this.complete && this.missing.size === 0
  }

  /** The revision of `hostnames` up to which everything, certificates included, is applied. */
  get appliedRevision(): number {
    let applied = this.seen.hostnames
    for (const revision of this.missing.values()) applied = Math.min(applied, revision - 1)
    return applied
  }

  get missingCount(): number {
    return this.missing.size
  }

  get missingCertificates(): ReadonlyArray<string> {
    return [...this.missing.keys()]
  }

  find(host: string): HostnameEntry | undefined {
    const exact = this.entries.get(host)
    // D8: an exact name, held by whomever, is never shadowed by a wildcard; a released one is no longer a name.
    if (exact !== undefined && exact.status === "held") return exact
    const wildcard = this.entries.get(wildcardOf(host))
    return wildcard !== undefined && wildcard.status === "held" ? wildcard : undefined
  }

  certificateOf(entry: HostnameEntry): CertificateEntry | undefined {
    if (entry.certificate_id === null) return undefined
    const certificate = this.certificates.get(entry.certificate_id)
    return certificate !== undefined && certificate.claim_id === entry.claim_id ? certificate : undefined
  }

  challenge(token: string, host: string): string | undefined {
    const entry = this.challenges.get(token)
    return entry !== undefined && entry.hostname === host && entry.type !== "tls-alpn-01" ? entry.key_authorization : undefined
  }

  alpnChallenge(host: string): ChallengeEntry | undefined {
    let found: ChallengeEntry | undefined
    for (const entry of this.challenges.values()) if (entry.type === "tls-alpn-01" && entry.hostname === host) found = entry
    return found
  }

  /** A full look at the hostnames bucket begins. What is served stays. */
  beginHostnames(): void {
    this.present = new Set()
    this.complete = false
    this.metaPresent = false
  }

  /** Every key that stood in the bucket was seen once. */
  endHostnames(revision: number): void {
    this.complete = true
    this.seen.hostnames = revision
    this.dropAbsent()
    this.onApplied()
  }

  putMeta(meta: RegistryMeta, revision: number): void {
    this.meta = meta
    this.metaPresent = true
    this.seen.hostnames = revision
    this.journal.meta(meta)
    this.dropAbsent()
    this.onApplied()
  }

  putHostname(entry: HostnameEntry, revision: number): void {
    this.seen.hostnames = revision
    this.present.add(entry.hostname)
    const known = this.entries.get(entry.hostname)
    if (known === undefined || known.version <= entry.version) this.replace(known, entry, revision)
    this.onApplied()
  }

  private replace(known: HostnameEntry | undefined, entry: HostnameEntry, revision: number): void {
    this.entries.set(entry.hostname, entry)
    this.held += (entry.status === "held" ? 1 : 0) - (known?.status === "held" ? 1 : 0)
    const id = entry.certificate_id
    const before = known?.certificate_id ?? null
    if (before !== null && before !== id) this.missing.delete(before)
    if (entry.status === "released" && id !== null) this.missing.delete(id)
    if (entry.status === "held" && id !== null && !this.certificates.has(id) && !this.missing.has(id)) this.missing.set(id, revision)
    this.journal.hostname(entry)
    if (before !== id || entry.status !== known?.status) this.onCertificateChange(entry.hostname)
  }

  /** A delete marker says nothing by itself: only a tombstone or a complete epoch ends a name. */
  markerAt(revision: number): void {
    this.seen.hostnames = revision
    this.onApplied()
  }

  private dropAbsent(): void {
    const { meta, present } = this
    if (!this.complete || !this.metaPresent || !meta?.complete || present.size < meta.count) return
    for (const [hostname, entry] of this.entries) {
      if (present.has(hostname)) continue
      this.entries.delete(hostname)
      if (entry.status === "held") this.held--
      if (entry.certificate_id !== null) this.missing.delete(entry.certificate_id)
      this.journal.dropped(hostname)
      this.onCertificateChange(hostname)
    }
  }

  putCertificate(entry: CertificateEntry): void {
    this.certificates.set(entry.certificate_id, entry)
    this.journal.certificate(entry)
    if (this.missing.delete(entry.certificate_id)) this.onApplied()
    for (const hostname of entry.hostnames) this.onCertificateChange(hostname)
  }

  /** The certifier removed it. Kept while a held entry is still served with it. */
  deleteCertificate(id: string): void {
    const certificate = this.certificates.get(id)
    if (certificate === undefined) return
    for (const hostname of certificate.hostnames) {
      const entry = this.entries.get(hostname)
      if (entry !== undefined && entry.status === "held" && entry.certificate_id === id) return
    }
    this.certificates.delete(id)
    this.journal.certificateGone(id)
  }

  hasCertificate(id: string): boolean {
    return this.certificates.has(id)
  }

  /** Tokens are answered from the old bucket until the new one was read: an authorisation may be under way. */
  beginChallenges(): void {
    this.presentChallenges.clear()
  }

  endChallenges(revision: number): void {
    for (const token of this.challenges.keys()) if (!this.presentChallenges.has(token)) this.challenges.delete(token)
    this.presentChallenges.clear()
    this.seen.challenges = revision
    this.onApplied()
  }

  putChallenge(entry: ChallengeEntry, revision: number): void {
    this.challenges.set(entry.token, entry)
    this.presentChallenges.add(entry.token)
    this.seen.challenges = revision
    this.onApplied()
  }

  deleteChallenge(token: string, revision: number): void {
    this.challenges.delete(token)
    this.seen.challenges = revision
    this.onApplied()
  }

  /** Everything that a restart needs, for the snapshot. */
  *contents(): Generator<{ hostname: HostnameEntry } | { certificate: CertificateEntry }> {
    for (const certificate of this.certificates.values()) yield { certificate }
    for (const hostname of this.entries.values()) yield { hostname }
  }

  /** Puts back what a snapshot held, before any bucket was looked at. Revisions start again with the first look. */
  restore(
    entry: { hostname: HostnameEntry } | { certificate: CertificateEntry } | { dropped: string } | { certificateGone: string }
  ): void {
    if ("certificate" in entry) this.certificates.set(entry.certificate.certificate_id, entry.certificate)
    else if ("certificateGone" in entry) this.certificates.delete(entry.certificateGone)
    else if ("dropped" in entry) {
      if (this.entries.get(entry.dropped)?.status === "held") this.held--
      this.entries.delete(entry.dropped)
    } else {
      const known = this.entries.get(entry.hostname.hostname)
      this.held += (entry.hostname.status === "held" ? 1 : 0) - (known?.status === "held" ? 1 : 0)
      this.entries.set(entry.hostname.hostname, entry.hostname)
    }
  }
}
