/**
 * What a connection is: its state, whose turn it is, and the facts that its life turns on.
 *
 * Owns: the names of the states and the row as the pure machine sees it. Leaves to `transitions.ts`: how states follow each other; to the
 * lifecycle service: the rest of the row (metadata, origin, tenant), which no decision depends on.
 * Built against: a decision that reads something which is not in the row, and so cannot be repeated after a crash.
 *
 * Times are milliseconds since the epoch.
 */
import type { DesiredRecord } from "./planRecords.ts"

export const states = [
  "created",
  "pending_ownership",
  "verifying",
  "verified",
  "dns_writing",
  "propagating",
  "issuing_cert",
  "live",
  "drifted",
  "stalled",
  "failed",
  "archived"
] as const
export type StateName = (typeof states)[number]

/** Who has to act for a connection to move on. */
export type Turn = "us" | "customer" | "dns" | "ca" | "nobody"

export const turnOf: Readonly<Record<StateName, Turn>> = {
  created: "us", // never committed: the first step follows in the same transaction
  pending_ownership: "customer",
  verifying: "us",
  verified: "us", // never committed either: the claim and the next step are one transaction
  dns_writing: "us",
  propagating: "dns",
  issuing_cert: "ca",
  live: "nobody",
  drifted: "customer",
  stalled: "customer",
  failed: "customer",
  archived: "nobody"
}

export interface ObservedRecord extends DesiredRecord {
  readonly propagated: boolean
  readonly observed_value: string | null
  readonly observed_at: string
}

/** The certificate as the certifier told it; times are ISO 8601. */
export interface Certificate {
  readonly status: "none" | "pending" | "issued" | "renewing" | "failed" | "expired" | "revoked"
  readonly not_before: string | null
  readonly not_after: string | null
  readonly ca: string | null
  readonly serial: string | null
  readonly last_error?: string
  readonly next_attempt_at?: string
  readonly issuer_origin?: "acme" | "internal" | "imported"
}

export const noCertificate: Certificate = { status: "none", not_before: null, not_after: null, ca: null, serial: null }

export interface Connection {
  readonly id: string
  readonly hostname: string
  readonly setup_type: string
  readonly state: StateName
  /** The state that `stalled` interrupted; null in every other state. */
  readonly interrupted: StateName | null
  /** A claim is taken once and never taken again, so its id is the connection's. */
  readonly claimed: boolean
  /** We write the customer's DNS through a credential. */
  readonly automatic: boolean
  /** Counts questions asked and looks answered: a look's answer that carries another number is late, or the same again. */
  readonly attempt: number
  /** The number of the write that is under way; null when none is. */
  readonly open_write: number | null
  /** Where in its cadence the present wait is. */
  readonly step: number
  /** Mismatches seen in a row while live. */
  readonly misses: number
  /** Our challenge stands in the customer's zone; removed at live. */
  readonly challenge_written: boolean
  readonly entered_at: number
  /** When the connection last came closer to live; `stalled` and `failed` count from here. */
  readonly progress_at: number
  readonly next_check_at: number | null
  readonly error_code: string | null
  /** Through whose API we wrote; null before. */
  readonly provider: string | null
  readonly desired_records: ReadonlyArray<DesiredRecord>
  readonly observed_records: ReadonlyArray<ObservedRecord>
  readonly certificate: Certificate
  /** The certificate that is stored and can be served; null before the first. */
  readonly certificate_id: string | null
}

/** What a connection waits for: a look, a write, the CA, or the edges. */
export type Question = "ownership" | "challenge" | "write" | "records" | "certificate" | "edges" | "cleanup"

/** What to ask on entering a state. */
export const awaits = (connection: Connection): ReadonlyArray<Question> => {
  switch (connection.state === "stalled" ? connection.interrupted : connection.state) {
    case "pending_ownership":
      return ["ownership"]
    case "verifying":
      return [connection.challenge_written ? "ownership" : "challenge"]
    case "dns_writing":
      return ["write"]
    case "propagating":
    case "live":
    case "drifted":
      return ["records"]
    case "issuing_cert":
      return [connection.certificate_id === null ? "certificate" : "edges"]
    default:
      return []
  }
}
