/** Entries in the form that the control plane writes, by number: for tests and measurements with many of them. */
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"

/** A UUID made of a kind (0…255) and a number. */
export const idOf = (kind: number, at: number): string =>
  `01920000-00${kind.toString(16).padStart(2, "0")}-7000-8000-${at.toString(16).padStart(12, "0")}`

export const numberedEntry = (at: number, hostname: string, fields: Partial<HostnameEntry> = {}): HostnameEntry => ({
  ...{ hostname, status: "held", connection_id: idOf(1, at), tenant_id: idOf(2, at % 100), application_id: idOf(3, at % 300) },
  ...{ claim_id: idOf(4, at), environment: "live", origin: `https://origin${at % 300}.vendor.example:8443`, certificate_id: idOf(5, at) },
  ...{ flags: {}, version: at + 1 },
  ...fields
})
