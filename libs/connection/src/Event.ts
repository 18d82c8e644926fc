/**
 * What happened to a connection, in the past tense.
 *
 * Owns: the facts that `evolve` folds into the row, that `reactions` turns into messages and `publicEvents` into what integrators see.
 * Every fact carries what was chosen when it happened (times, numbers), so that folding needs neither a clock nor chance.
 */
import type { Certificate, ObservedRecord, Question, StateName } from "./State.ts"

export type Event =
  | { readonly type: "StateEntered"; readonly state: StateName; readonly interrupted: StateName | null; readonly at: number }
  /** `by: "caller"`: whoever asked looks himself, nothing is sent. */
  | {
      readonly type: "QuestionAsked"
      readonly questions: ReadonlyArray<Question>
      readonly by: "us" | "caller"
      readonly attempt: number
      readonly step: number
      readonly next_check_at: number | null
    }
  /** An answer moved nothing: look again then. */
  | { readonly type: "LookScheduled"; readonly next_check_at: number }
  | { readonly type: "OwnershipProven" }
  | { readonly type: "ConflictMet" }
  | { readonly type: "RecordsSeen"; readonly records: ReadonlyArray<ObservedRecord>; readonly misses: number; readonly progress_at: number }
  | {
      readonly type: "WriteAnswered"
      readonly purpose: "challenge" | "records"
      readonly provider: string | null
      readonly error_code: string | null
    }
  | { readonly type: "RecordsWritten" }
  | { readonly type: "ChallengeGone" }
  | { readonly type: "CertificateStored"; readonly certificate_id: string; readonly certificate: Certificate; readonly renewed: boolean }
  /** A certificate before the domain leads to us, or a new attempt because the DNS changed for the better. */
  | { readonly type: "CertificateWanted"; readonly why: "early" | "recovered"; readonly attempt: number }
  | { readonly type: "CertificateRefused"; readonly certificate: Certificate }
  | { readonly type: "CertificateMirrored"; readonly certificate: Certificate; readonly destroyed: boolean }
  | { readonly type: "WentLive" | "Recovered" }
  | { readonly type: "RoutingChanged" }
  | { readonly type: "Ended"; readonly error_code: string | null; readonly claim_released: boolean }
