/** A host name in a request: the canonicaliser's verdict as a field problem. */
import { canonicalise } from "@connect-domain/domain/Hostname.ts"
import { Result } from "effect"
import type { FieldProblem } from "../http/ApiError.ts"
import type { Settings } from "../Settings.ts"

/** Nothing to say about what is absent or not a string: the schema says it. */
export const hostnameProblems = (settings: Settings["Service"], value: unknown, field: string): ReadonlyArray<FieldProblem> => {
  if (typeof value !== "string") return []
  const result = canonicalise(value, settings.hostnamePolicy)
  return Result.isSuccess(result) ? [] : [{ field, message: result.failure.message }]
}
