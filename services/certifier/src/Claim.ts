/**
 * A claim as a worker sees it, and what may be written about it.
 *
 * Owns: the shapes. Leaves to `Claims.ts`: the table.
 */
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import type { DesiredRecord } from "@connect-domain/messages/record.ts"
import { Data } from "effect"
import type { Environment } from "./acmeDirectories.ts"
import type { FailureKind } from "./retryLadder.ts"

export interface Claim {
  readonly claim_id: string
  readonly connection_id: string
  readonly tenant_id: string
  readonly hostname: string
  readonly environment: Environment
  readonly state: "wanted" | "held" | "released"
  readonly fence: number
  readonly order_url: string | null
  readonly order_key_sealed: string | null
  readonly order_directory: string | null
  readonly failures: number
  readonly replace_reason: string | null
  readonly renew_at: Date | null
  readonly renew_because: "ari" | "lifetime" | null
  readonly window_start: Date | null
  readonly window_end: Date | null
  readonly answer_owed: boolean
  /** What must stand in the DNS for the name to lead to us; null: not known. */
  readonly records: ReadonlyArray<DesiredRecord> | null
  /** The CAA records found last. */
  readonly caa: CaaAnswer | null
  readonly caa_looked_at: Date | null
  readonly failing_since: Date | null
  readonly paused_until: Date | null
  readonly paused_view: string | null
  /** Message headers of who asked, until there is a certificate. */
  readonly asked_by: Readonly<Record<string, string>> | null
  /** By the database's clock, when it was leased: an order has to wait (`retry_at`). */
  readonly held_back: boolean
}

/** Somebody else holds the claim by now, or it was released: whatever was being done must not be stored. */
export class LeaseLost extends Data.TaggedError("LeaseLost")<{ readonly claimId: string }> {}

export interface ClaimPlan {
  readonly dueAt: Date
  readonly renewAt: Date
  readonly renewBecause: "ari" | "lifetime"
  readonly window: { readonly start: Date; readonly end: Date } | undefined
  /** A new certificate was stored: reasons to replace the old one are settled. */
  readonly replaced: boolean
}

export interface ClaimFailure {
  readonly dueAt: Date
  readonly kind: FailureKind
  readonly message: string
  readonly forgetOrder: boolean
  /** What `afterFailure` says. */
  readonly failures: number
  readonly failingSince: Date | null
  readonly retryAt: Date
  readonly pausedUntil: Date | null
  readonly pausedView: string | null
}
