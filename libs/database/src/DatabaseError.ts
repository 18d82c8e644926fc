/**
 * What went wrong in Postgres, reduced to what a caller can do about it.
 *
 * Owns: the mapping from SQLSTATE and driver codes to a reason. The message names the statement's problem without its parameters:
 * they may hold secrets.
 */
import { Data } from "effect"

/**
 * - `Unavailable`: no connection, or it was lost. Later again; a commit under way may have happened.
 * - `UniqueViolation`: `constraint` names which one. A fact to act on, never to retry.
 * - `SerializationFailure`: deadlock, lock timeout, or a statement cancelled from outside. Run the transaction again.
 * - `Other`: a defect of ours, or data that a constraint refuses.
 */
export type DatabaseReason = "Unavailable" | "UniqueViolation" | "SerializationFailure" | "Other"

export class DatabaseError extends Data.TaggedError("DatabaseError")<{
  readonly reason: DatabaseReason
  readonly message: string
  /** The violated constraint's name, where there is one. */
  readonly constraint?: string
  /** The SQLSTATE or the driver's code, for the log. */
  readonly code?: string
  readonly cause: unknown
}> {
  static from(cause: unknown, reason: DatabaseReason = reasonOf(cause)): DatabaseError {
    if (cause instanceof DatabaseError) return cause
    const { code, constraint_name } = detailsOf(cause)
    return new DatabaseError({
      reason,
      message: `${reason}: ${cause instanceof Error ? cause.message : String(cause)}`,
      ...(constraint_name === undefined ? {} : { constraint: constraint_name }),
      ...(code === undefined ? {} : { code }),
      cause
    })
  }
}

const detailsOf = (error: unknown) =>
  (typeof error === "object" && error !== null ? error : {}) as { readonly code?: string; readonly constraint_name?: string }

/** Server shutting down or starting (57P0x), too many connections (53300), connection exceptions (class 08), the driver's own codes. */
const unavailable = /^(57P0[1-5]|53300|08...|25006|CONN.*|ECONN.*|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|ENOTFOUND|EAI_AGAIN)$/

/** PostgreSQL 18, Appendix A. 57014 is a cancel that was meant for an earlier statement of the same connection, or a statement timeout. */
const retryable = new Set(["40001", "40P01", "55P03", "57014"])

export const reasonOf = (error: unknown): DatabaseReason => {
  if (error instanceof DatabaseError) return error.reason
  const code = detailsOf(error).code ?? ""
  if (code === "23505") return "UniqueViolation"
  if (retryable.has(code)) return "SerializationFailure"
  return unavailable.test(code) ? "Unavailable" : "Other"
}
