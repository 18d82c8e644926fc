/**
 * Every refusal that a caller of the API can get: code, status, shape. The one place where they are made.
 *
 * Owns: code → status, the error body, which refusals of other services pass through. Leaves to `serve.ts`: the request id and the log.
 * Built against: internals in a message, a code that means two things, and a status that differs between two routes.
 */
import type { DatabaseError } from "@connect-domain/database/DatabaseError.ts"
import type { CallError } from "@connect-domain/nats/Calls.ts"
import { Data } from "effect"

/** Status per code. Codes of other services that are not here become `internal`. */
export const statusOf = {
  invalid: 400,
  unauthorized: 401,
  QuotaExceeded: 402,
  forbidden: 403,
  not_found: 404,
  HostnameConflict: 409,
  ownership_not_found: 409,
  idempotency_conflict: 409,
  application_in_use: 409,
  no_credential: 409,
  connection_archived: 409,
  redirect_target_not_connected: 409,
  rotation_in_progress: 409,
  precondition_failed: 412,
  payload_too_large: 413,
  credential_refused: 422,
  rate_limited: 429,
  internal: 500,
  billing_unavailable: 502,
  unavailable: 503
} as const satisfies Record<string, number>
export type ErrorCode = keyof typeof statusOf

export interface FieldProblem {
  /** Path in the request: `hostname`, `dns_records[0].ttl`, `limit`. */
  readonly field: string
  readonly message: string
}

export class ApiError extends Data.TaggedError("ApiError")<{
  readonly code: ErrorCode
  readonly message: string
  readonly details?: unknown
  /** Only where a code has two: `idempotency_conflict` with another body. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** For the log; never shown. */
  readonly cause?: unknown
}> {}

export const invalid = (...problems: ReadonlyArray<FieldProblem>): ApiError =>
  new ApiError({
    code: "invalid",
    message: problems.length === 1 ? `${problems[0]!.field}: ${problems[0]!.message}` : `${problems.length} fields are wrong`,
    details: problems
  })

/** One for every reason: an object that does not exist, that is somebody else's, or whose id is malformed. */
export const notFound = new ApiError({ code: "not_found", message: "no such object" })
export const unauthorized = new ApiError({
  code: "unauthorized",
  message: "missing or invalid credential",
  headers: { "www-authenticate": "Bearer" }
})
export const forbidden = (message: string): ApiError => new ApiError({ code: "forbidden", message })
export const internal = (cause: unknown): ApiError => new ApiError({ code: "internal", message: "internal error", cause })
export const unavailable = (cause: unknown): ApiError =>
  new ApiError({ code: "unavailable", message: "temporarily unavailable; try again", headers: { "retry-after": "1" }, cause })

const isProblem = (value: unknown): value is FieldProblem =>
  typeof value === "object" &&
  value !== null &&
  typeof (value as FieldProblem).field === "string" &&
  typeof (value as FieldProblem).message === "string"

/** Whatever form another service gave its field problems, callers see one: a list of `{field, message}`. */
const fieldProblems = (message: string, details: unknown): ReadonlyArray<FieldProblem> => {
  if (isProblem(details)) return [{ field: details.field, message: details.message }]
  if (Array.isArray(details) && details.length > 0 && details.every(isProblem)) return details
  if (typeof details !== "object" || details === null || Array.isArray(details)) return []
  const { fields, field } = details as { fields?: unknown; field?: unknown }
  if (fields !== undefined) return fieldProblems(message, fields)
  if (typeof field === "string") return [{ field, message }]
  return Object.entries(details).map(([name, text]) => ({ field: name, message: String(text) }))
}

/** Those who read only the message learn the field too. */
const named = (message: string, details: unknown): string => {
  const field = typeof details === "object" && details !== null ? (details as { field?: unknown }).field : undefined
  return typeof field === "string" && !message.startsWith(field) ? `${field}: ${message}` : message
}

/** A refusal by another service, in our words where they are for the operator, in its words where they are for the caller. */
export const fromCall = (error: CallError): ApiError => {
  if (!Object.hasOwn(statusOf, error.code) || error.code === "internal") return internal(error)
  if (error.code === "not_found") return notFound
  if (error.code === "unavailable") return unavailable(error)
  const details = error.code === "invalid" ? fieldProblems(error.message, error.details) : error.details
  const message = error.code === "invalid" ? named(error.message, error.details) : error.message
  return new ApiError({ code: error.code as ErrorCode, message, ...(details === undefined ? {} : { details }) })
}

export const fromDatabase = (error: DatabaseError): ApiError =>
  error.reason === "Unavailable" || error.reason === "SerializationFailure" ? unavailable(error) : internal(error)

/** The body. A quota's limit, plan and way out stand beside the code, and the way out at the top as well. */
export const errorBody = (error: ApiError, requestId: string): Record<string, unknown> => {
  const body = { code: error.code, message: error.message, details: error.details ?? null, request_id: requestId }
  if (error.code !== "QuotaExceeded") return { error: body }
  const { limit = null, plan = null, upgrade_url = null } = (error.details ?? {}) as Record<string, unknown>
  return { error: { ...body, limit, plan, upgrade_url }, upgrade_url }
}
