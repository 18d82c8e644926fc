/**
 * What the registry tells the disk, and what the disk tells it back.
 *
 * Owns: the two forms. Leaves to `Snapshot.ts`: the files.
 */
import type { CertificateEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"

/** Told of every change that the disk must outlive. */
export interface RegistryJournal {
  hostname(entry: HostnameEntry): void
  /** A name that a complete epoch no longer holds. */
  dropped(hostname: string): void
  certificate(entry: CertificateEntry): void
  certificateGone(id: string): void
  /** What this complete epoch did not hold was dropped. */
  completed(epoch: string): void
}

/** A change as it stands in the journal. Each says how something is, not what was done to it: repeating one changes nothing. */
export type RegistryChange =
  | { readonly hostname: HostnameEntry }
  | { readonly certificate: CertificateEntry }
  | { readonly dropped: string }
  | { readonly certificateGone: string }
  | { readonly completed: string }

export const noJournal: RegistryJournal = { hostname() {}, dropped() {}, certificate() {}, certificateGone() {}, completed() {} }
