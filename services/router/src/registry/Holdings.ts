/**
 * Hostname entries and certificates in compact form, with the lately used ones decoded.
 *
 * Owns: putting, finding, removing, giving memory back in the background. Leaves to `store/`: bytes; to `Registry.ts`: when something is served or
 * dropped. No object stays for a hostname that nobody asks for.
 */
import type { CertificateEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"
import type { RegistryChange } from "./RegistryJournal.ts"
import { packCertificate, StoredCertificate } from "./store/certificateRecord.ts"
import { HotCache } from "./store/HotCache.ts"
import { heldTag, packHostname, releasedTag, unpackHostname } from "./store/hostnameRecord.ts"
import { Issuers } from "./store/Issuers.ts"
import { RecordStore } from "./store/RecordStore.ts"
import { ServedWith } from "./store/ServedWith.ts"

const hotNames = 8192
const hotCertificates = 512
/** Between two pages that are emptied. */
const emptyMillis = 10
/** Epochs that are remembered. One begins when NATS lost something or was made anew. */
const maxEpochs = 64

const tagOf = ({ status }: HostnameEntry): number => (status === "held" ? heldTag : releasedTag)

/** Keys of a bucket are ASCII; nothing else is ever asked for. */
const isKey = (key: string): boolean => key.length > 0 && key.length <= 1024 && /^[\x21-\x7e]+$/.test(key)

export class Holdings {
  readonly names: RecordStore
  readonly certificates: RecordStore
  readonly issuers = new Issuers()
  private readonly servedWith: ServedWith
  /** Names with status `held`. */
  held = 0
  /** The complete epochs whose absent names were dropped, the latest last. */
  epochs: ReadonlyArray<string> = []
  private readonly hotNames = new HotCache<HostnameEntry>(hotNames)
  private readonly hotCertificates = new HotCache<StoredCertificate>(hotCertificates)
  private timer: NodeJS.Timeout | undefined

  /** `seeds`: of the snapshot whose pages will be adopted. */
  constructor(seeds?: { readonly names: number; readonly certificates: number }) {
    this.names = new RecordStore(seeds?.names)
    this.certificates = new RecordStore(seeds?.certificates)
    this.servedWith = new ServedWith(this.names)
    this.names.onMoved = (from, to) => this.servedWith.move(from, to)
    this.names.onDead = (ref) => {
      this.servedWith.remove(ref)
      if (this.names.tagOf(ref) === heldTag) this.held--
    }
    this.certificates.onDead = (ref) => {
      const issuer = this.certificates.tagOf(ref)
      if (issuer !== 0) this.issuers.release(issuer)
    }
  }

  /** The entry with this very name, whatever its status; decoded anew. */
  name(hostname: string): HostnameEntry | undefined {
    const ref = this.names.find(hostname)
    return ref === 0 ? undefined : this.decodeName(ref, hostname)
  }

  decodeName(ref: number, hostname: string = this.names.keyOf(ref)): HostnameEntry {
    return unpackHostname(hostname, this.names.valueOf(ref))
  }

  /** The entry with this very name if it is held. */
  heldName(hostname: string): HostnameEntry | undefined {
    const hot = this.hotNames.get(hostname)
    if (hot !== undefined) return hot
    const ref = this.names.find(hostname)
    if (ref === 0 || this.names.tagOf(ref) !== heldTag) return undefined
    const entry = this.decodeName(ref, hostname)
    this.hotNames.set(hostname, entry)
    return entry
  }

  /** Where exactly this entry stands; 0: it does not. Nothing is decoded. */
  sameName(entry: HostnameEntry): number {
    const ref = this.names.find(entry.hostname)
    return ref !== 0 && this.names.equals(ref, packHostname(entry), tagOf(entry)) ? ref : 0
  }

  /** False: it stood there already, just so, or its name is none. */
  putName(entry: HostnameEntry): boolean {
    const { hostname } = entry
    if (!isKey(hostname)) return false
    const value = packHostname(entry)
    const tag = tagOf(entry)
    const ref = this.names.find(hostname)
    if (ref !== 0 && this.names.equals(ref, value, tag)) return false
    this.servedWith.add(this.names.put(hostname, value, tag))
    if (tag === heldTag) this.held++
    this.hotNames.delete(hostname)
    this.reclaim()
    return true
  }

  removeName(hostname: string): void {
    this.names.remove(hostname)
    this.hotNames.delete(hostname)
    this.reclaim()
  }

  certificate(id: string): StoredCertificate | undefined {
    const hot = this.hotCertificates.get(id)
    if (hot !== undefined) return hot
    const ref = this.certificates.find(id)
    if (ref === 0) return undefined
    const certificate = this.decodeCertificate(ref, id)
    this.hotCertificates.set(id, certificate)
    return certificate
  }

  /** Held names that may be served with this certificate, whatever names stand in it. */
  namesServedWith(certificate: Pick<CertificateEntry, "certificate_id" | "claim_id">): ReadonlyArray<string> {
    return this.servedWith.namesOf(certificate)
  }

  decodeCertificate(ref: number, id: string = this.certificates.keyOf(ref)): StoredCertificate {
    return new StoredCertificate(id, Buffer.from(this.certificates.valueOf(ref)), this.certificates.tagOf(ref), this.issuers)
  }

  /** False: it stood there already, just so, or its id is none. */
  putCertificate(entry: CertificateEntry): boolean {
    const id = entry.certificate_id
    if (!isKey(id)) return false
    const { value, issuer } = packCertificate(entry, this.issuers)
    const ref = this.certificates.find(id)
    if (ref !== 0 && this.certificates.equals(ref, value, issuer)) return false
    if (issuer !== 0) this.issuers.retain(issuer)
    this.certificates.put(id, value, issuer)
    this.hotCertificates.delete(id)
    this.reclaim()
    return true
  }

  removeCertificate(id: string): void {
    this.certificates.remove(id)
    this.hotCertificates.delete(id)
    this.reclaim()
  }

  putEpoch(epoch: string): void {
    this.epochs = [...this.epochs.filter((each) => each !== epoch), epoch].slice(-maxEpochs)
  }

  /** Puts back what a snapshot's journal held, before any bucket was looked at. Revisions start again with the first look. */
  restore(change: RegistryChange): void {
    if ("certificate" in change) this.putCertificate(change.certificate)
    else if ("certificateGone" in change) this.removeCertificate(change.certificateGone)
    else if ("dropped" in change) this.removeName(change.dropped)
    else if ("completed" in change) this.putEpoch(change.completed)
    else this.putName(change.hostname)
  }

  /** Records that a snapshot had, in its pages. */
  adopt(kind: "names" | "certificates", page: Buffer): void {
    const store = this[kind]
    store.adopt(page, (ref) => {
      const tag = store.tagOf(ref)
      if (kind === "certificates" && tag !== 0) this.issuers.retain(tag)
      if (kind !== "names" || tag !== heldTag) return
      this.held++
      this.servedWith.add(ref)
    })
  }

  /** Gives memory of replaced and removed values back, a page at a time, as long as there is enough of it. */
  private reclaim(): void {
    const [store] = [this.names, this.certificates].filter((each) => each.pages.worthEmptying)
    if (store === undefined || this.timer !== undefined) return
    this.timer = setTimeout(() => {
      this.timer = undefined
      // A base or a sweep may have begun since: then the next change asks again.
      if (store.pages.worthEmptying) store.emptyOne()
      this.reclaim()
    }, emptyMillis)
    this.timer.unref()
  }

  /** Pages' bytes, for the metrics. */
  get bytes(): number {
    return this.names.pages.bytes + this.certificates.pages.bytes
  }
}
