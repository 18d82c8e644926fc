/**
 * The registry's look-ups as the hot path sees them.
 *
 * Owns: the interface, and the entry in the form that requests need. Leaves to `Registry.ts`: where entries come from.
 */
import type { CertificateEntry, ChallengeEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"

export interface HostnameTable {
  /** The held entry that answers for a canonical name: its own, else the wildcard one label up (D8). */
  find(host: string): HostnameEntry | undefined
  /** The certificate that this entry may be served with: only one of the same claim. */
  certificateOf(entry: HostnameEntry): CertificateEntry | undefined
  /** The key authorisation of one of our pending ACME tokens, if it belongs to this host. */
  challenge(token: string, host: string): string | undefined
  /** The TLS-ALPN-01 challenge that is pending for this very host; the latest of several. */
  alpnChallenge(host: string): ChallengeEntry | undefined
}

/** The wildcard name that covers `host`: exactly one label (RFC 9525 §6.3); "" when there is none. */
export const wildcardOf = (host: string): string => {
  const dot = host.indexOf(".")
  return dot < 0 ? "" : `*${host.slice(dot)}`
}

/** Whether a certificate for these names is authoritative for `host`. */
export const covers = (names: ReadonlyArray<string>, host: string): boolean => names.includes(host) || names.includes(wildcardOf(host))
