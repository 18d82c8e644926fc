/**
 * A connection at its birth. Owns: the first values of every column that the machine reads. The first command is `Proceed`.
 */
import type { DesiredRecord } from "./planRecords.ts"
import { type Connection, noCertificate } from "./State.ts"

export interface Birth {
  readonly id: string
  readonly hostname: string
  readonly setup_type: string
  /** A credential is there to write the customer's DNS with. */
  readonly automatic: boolean
  readonly desired_records: ReadonlyArray<DesiredRecord>
  /** Milliseconds since the epoch. */
  readonly now: number
}

export const newConnection = ({ now, ...birth }: Birth): Connection => ({
  ...birth,
  state: "created",
  interrupted: null,
  claimed: false,
  attempt: 0,
  open_write: null,
  step: 0,
  misses: 0,
  challenge_written: false,
  entered_at: now,
  progress_at: now,
  next_check_at: null,
  error_code: null,
  provider: null,
  observed_records: [],
  certificate: noCertificate,
  certificate_id: null
})
