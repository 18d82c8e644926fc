/**
 * What a connection can be told.
 *
 * Owns: the commands' names and facts. Leaves to the lifecycle service: which call, message or alarm becomes which command.
 * Verbs are requests, past participles are answers and facts from elsewhere.
 */
import type { Certificate } from "./State.ts"

/** `match`: every server that answered agrees; `mismatch`: every server answered and none matches; `unknown` changes nothing. */
export type Verdict = "match" | "mismatch" | "unknown"

/** `version` is the number of the question that is answered here. */
interface Answer {
  readonly version: number
}

/** What was seen at one desired record's name. */
export interface SeenRecord {
  readonly host: string
  readonly type: string
  readonly value: string
  readonly propagated: boolean
  readonly observed_value: string | null
  readonly observed_ttl: number | null
  /** ISO 8601. */
  readonly observed_at: string
}

export interface WriteFailure {
  /** Temporary ones are retried by us; after the others it is the customer's turn. */
  readonly code: "rate_limited" | "unavailable" | "access_denied" | "zone_not_found" | "conflict" | "unsupported"
  readonly retry_after_seconds: number | null
}

export type Command =
  /** Take the step that follows at once; `decide` sends it itself. */
  | { readonly name: "Proceed" }
  /** `next_check_at` has passed. */
  | { readonly name: "DeadlineReached" }
  /** A caller is about to look himself; his look counts as one of ours. */
  | { readonly name: "StartLook"; readonly question: "ownership" | "records" }
  | (Answer & { readonly name: "OwnershipObserved"; readonly verdict: Verdict })
  | (Answer & { readonly name: "RecordsObserved"; readonly verdict: Verdict; readonly records: ReadonlyArray<SeenRecord> })
  | (Answer & {
      readonly name: "RecordsApplied"
      readonly purpose: "challenge" | "records"
      readonly provider: string | null
      readonly failure: WriteFailure | null
    })
  /** The removal of the challenge was answered: done, or refused for good. */
  | { readonly name: "ChallengeRemoved" }
  | {
      readonly name: "CertificateIssued"
      readonly claim_id: string
      readonly certificate_id: string
      readonly certificate: Certificate
    }
  | { readonly name: "CertificateFailed"; readonly claim_id: string; readonly certificate: Certificate }
  /** Ordered, renewing, destroyed: nothing that the life of a connection turns on. */
  | { readonly name: "CertificateNoted"; readonly claim_id: string; readonly certificate: Certificate; readonly destroyed: boolean }
  /** Every connected edge has applied the registry entry that names this certificate, or has had its 2 s. */
  | { readonly name: "EdgesReported"; readonly certificate_id: string }
  | { readonly name: "ApplyRecords"; readonly has_credential: boolean }
  /** The origin or a switch of the hostname changed: what edges know is out of date. */
  | { readonly name: "UpdateRouting" }
  | { readonly name: "Archive" }

export type CommandName = Command["name"]

export const commandNames: ReadonlyArray<CommandName> = [
  "Proceed",
  "DeadlineReached",
  "StartLook",
  "OwnershipObserved",
  "RecordsObserved",
  "RecordsApplied",
  "ChallengeRemoved",
  "CertificateIssued",
  "CertificateFailed",
  "CertificateNoted",
  "EdgesReported",
  "ApplyRecords",
  "UpdateRouting",
  "Archive"
]
