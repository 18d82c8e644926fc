/** Optimistic concurrency (requirement P5): a strong ETag is the row's version, If-Match refuses a change to another one. RFC 9110 §13.1.1. */
import { Effect } from "effect"
import { ApiError } from "./ApiError.ts"

export const etagOf = (version: number): string => `"${version}"`

export const preconditionFailed = new ApiError({
  code: "precondition_failed",
  message: "the object was changed meanwhile; read it again"
})

/** The version that a caller expects: null without a condition; fails for a condition that no version can meet. */
export const expectedVersion = (ifMatch: string | undefined): Effect.Effect<number | null, ApiError> => {
  if (ifMatch === undefined || ifMatch.trim() === "*") return Effect.succeed(null)
  const tag = /^"(\d{1,9})"$/.exec(ifMatch.trim())
  return tag === null ? Effect.fail(preconditionFailed) : Effect.succeed(Number(tag[1]))
}

export const matchVersion = (ifMatch: string | undefined, version: number): Effect.Effect<void, ApiError> =>
  Effect.flatMap(expectedVersion(ifMatch), (expected) =>
    expected === null || expected === version ? Effect.void : Effect.fail(preconditionFailed)
  )
