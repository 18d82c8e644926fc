/**
 * The conditions of the table, each a question about the row, the command and the circumstances.
 *
 * Owns: what each condition means. Leaves to `transitions.ts`: what follows from it.
 */
import type { Command, SeenRecord } from "./Command.ts"
import { requiredSeen } from "./certificateRecords.ts"
import type { Connection } from "./State.ts"
import { isDeparted, isIdle, isOverdue, type Timing } from "./schedule.ts"

/** What `decide` is told of the world. */
export interface Circumstances {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** In [0, 1), for the jitter. */
  readonly random: number
  /** Another connection holds the claim on this hostname. The database's unique index has the last word. */
  readonly held_by_another: boolean
  readonly timing: Timing
}

type Condition = (connection: Connection, command: Command, circumstances: Circumstances) => boolean

const temporary: ReadonlySet<string> = new Set(["rate_limited", "unavailable"])
const proofSeen: Condition = (_, command) => command.name === "OwnershipObserved" && command.verdict === "match"
const sees =
  (verdict: "match" | "mismatch"): Condition =>
  (_, command) =>
    command.name === "RecordsObserved" && command.verdict === verdict
const hasCredential: Condition = (_, command) => command.name === "ApplyRecords" && command.has_credential
const leftBeforeProof = (connection: Connection): boolean =>
  connection.interrupted === "pending_ownership" || connection.interrupted === "verifying"

/** More of the records that going live waits for are right than at the look before. */
export const isProgress = ({ desired_records, observed_records }: Connection, records: ReadonlyArray<SeenRecord>): boolean =>
  requiredSeen(desired_records, records) > requiredSeen(desired_records, observed_records)

const conditions = {
  automatic: (connection) => connection.automatic,
  idle: (connection, _, { now }) => isIdle(connection, now),
  overdue: (connection, _, { now }) => isOverdue(connection, now),
  departed: (connection, _, { now, timing }) => isDeparted(connection, now, timing),
  proofSeen: (...all) => proofSeen(...all) && (all[0].state !== "stalled" || (leftBeforeProof(all[0]) && !all[2].held_by_another)),
  proofSeenButHeld: (...all) => proofSeen(...all) && all[2].held_by_another,
  writeDone: (_, command) => command.name === "RecordsApplied" && command.failure === null,
  writeRefused: (_, command) => command.name === "RecordsApplied" && command.failure !== null && !temporary.has(command.failure.code),
  hasCredential,
  claimedAndHasCredential: (...all) => all[0].claimed && hasCredential(...all),
  recordsMatch: sees("match"),
  recordsDiffer: sees("mismatch"),
  secondMiss: (...all) => sees("mismatch")(...all) && all[0].misses > 0,
  recordsProgress: (connection, command) =>
    command.name === "RecordsObserved" &&
    (connection.interrupted === "dns_writing" || connection.interrupted === "propagating") &&
    (command.verdict === "match" || isProgress(connection, command.records)),
  leftIssuing: (connection) => connection.interrupted === "issuing_cert",
  certificateServed: (connection, command) =>
    command.name === "EdgesReported" &&
    connection.certificate_id !== null &&
    command.certificate_id === connection.certificate_id &&
    (connection.interrupted ?? connection.state) === "issuing_cert"
} as const satisfies Record<string, Condition>

export type Guard = keyof typeof conditions

export const holds = (guard: Guard | undefined, connection: Connection, command: Command, circumstances: Circumstances): boolean =>
  guard === undefined || conditions[guard](connection, command, circumstances)
