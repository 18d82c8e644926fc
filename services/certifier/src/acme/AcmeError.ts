/**
 * What can go wrong when talking to a certificate authority, sorted by who has to act next.
 *
 * Owns: turning an HTTP status and a problem document (RFC 7807, RFC 8555 §6.7) into one of five reasons.
 * Leaves to the caller: waiting, counting failures, telling the customer (`explainFailure.ts`).
 * Built against: retrying what can never succeed, and giving up on what only needs an hour.
 */
import { Schema } from "effect"

/** A problem document as the CA sent it; `type` is cut to what follows `urn:ietf:params:acme:error:`. */
export class Problem extends Schema.Class<Problem>("AcmeProblem")({
  type: Schema.String,
  detail: Schema.String,
  status: Schema.Int,
  /** The name the problem is about, when the CA said so (RFC 8555 §6.7.1). */
  identifier: Schema.optionalKey(Schema.String)
}) {}

/** The CA can't be reached, answers 5xx, or answers something that is not ACME. Try again later. */
export class Unavailable extends Schema.TaggedClass<Unavailable>()("Unavailable", {
  detail: Schema.String,
  retryAfterSeconds: Schema.optionalKey(Schema.Number),
  /** It answered, and with this HTTP status; absent: it did not, or what it said was no ACME. */
  status: Schema.optionalKey(Schema.Int)
}) {}
/** One of the CA's limits is reached. Never ask again before `retryAfterSeconds`. */
export class RateLimited extends Schema.TaggedClass<RateLimited>()("RateLimited", {
  detail: Schema.String,
  retryAfterSeconds: Schema.optionalKey(Schema.Number),
  /** `account`: no name fares better until then; `name`: others may go on. */
  scope: Schema.Literals(["account", "name"])
}) {}
/** The CA does not know the account (a test CA that was restarted, a deactivated account). Register anew. */
export class AccountUnknown extends Schema.TaggedClass<AccountUnknown>()("AccountUnknown", { detail: Schema.String }) {}
/** What the request points at (order, authorization, certificate) does not exist at this CA. Start over. */
export class Gone extends Schema.TaggedClass<Gone>()("Gone", { detail: Schema.String }) {}
/** The CA refuses: the same request will be refused again until somebody changes something. */
export class Refused extends Schema.TaggedClass<Refused>()("Refused", {
  problem: Problem,
  /** `http-01` …: the CA looked for this answer and did not find it. */
  challenge: Schema.optionalKey(Schema.String)
}) {}
/** The answer to the CA can't be put in place until somebody changes something; `detail` says what. It has cost nothing at the CA. */
export class NotPlaced extends Schema.TaggedClass<NotPlaced>()("NotPlaced", { detail: Schema.String }) {}

export type AcmeReason = Unavailable | RateLimited | AccountUnknown | Gone | Refused | NotPlaced

/** The CA does not issue for this name, whatever the proof. */
export const isPolicy = (reason: AcmeReason): boolean =>
  reason._tag === "Refused" && ["caa", "rejectedIdentifier", "unsupportedIdentifier"].includes(reason.problem.type)

export class AcmeError extends Schema.TaggedError<AcmeError>()("AcmeError", {
  operation: Schema.String,
  reason: Schema.Union([Unavailable, RateLimited, AccountUnknown, Gone, Refused, NotPlaced])
}) {
  override get message() {
    const detail = this.reason._tag === "Refused" ? `${this.reason.problem.type}: ${this.reason.problem.detail}` : this.reason.detail
    return `${this.operation}: ${this.reason._tag}: ${detail}`
  }
}

const acmeErrors = "urn:ietf:params:acme:error:"
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

/** Reads a problem document, or whatever stands in its place. Never fails: CAs behind proxies answer HTML. */
export const readProblem = (value: unknown, status: number): Problem => {
  const document = isRecord(value) ? value : {}
  const subproblems = Array.isArray(document.subproblems) ? document.subproblems.filter(isRecord) : []
  const first = subproblems[0]
  const type = String(document.type ?? "about:blank")
  const blamed = isRecord(first) && isRecord(first.identifier) ? String(first.identifier.value) : undefined
  const identifier = isRecord(document.identifier) ? String(document.identifier.value) : blamed
  const kind = type === `${acmeErrors}compound` && first ? String(first.type ?? type) : type
  const detail = [document.detail, ...subproblems.map((each) => each.detail)].filter((each) => typeof each === "string")
  return new Problem({
    type: kind.startsWith(acmeErrors) ? kind.slice(acmeErrors.length) : kind,
    detail: detail.join("; ").slice(0, 1000) || `HTTP ${status}`,
    status: typeof document.status === "number" ? Math.trunc(document.status) : status,
    ...(identifier === undefined ? {} : { identifier })
  })
}

/** Boulder says "too many new orders (300) from this account …", "too many certificates (50) already issued for "example.com" …". */
const scopeOf = (problem: Problem): "account" | "name" =>
  problem.type !== "rateLimited" || /new orders|account|registrations|requests/i.test(problem.detail) ? "account" : "name"

/** Sorts an answer ≥ 400 into a reason. `badNonce` never gets here: the session retries it. */
export const reasonOf = (problem: Problem, status: number, retryAfterSeconds: number | undefined): AcmeReason => {
  const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  const detail = problem.detail
  if (problem.type === "rateLimited" || status === 429) return new RateLimited({ detail, ...wait, scope: scopeOf(problem) })
  if (problem.type === "accountDoesNotExist") return new AccountUnknown({ detail })
  if (status >= 500 || problem.type === "serverInternal" || problem.type === "badNonce") return new Unavailable({ detail, ...wait, status })
  if (status === 404) return new Gone({ detail })
  return new Refused({ problem })
}
