/**
 * The audit log (requirement P10): who changed what, in the same transaction as the change, append-only by grant.
 * What another service changes is written before it is asked, and its answer after (`auditAsked`): a crash between leaves the wish.
 *
 * Owns: the row. Leaves to callers: leaving secrets out of `before` and `after`.
 */
import type { Database, DatabaseError } from "@connect-domain/database/Database.ts"
import { Effect, Schedule } from "effect"
import type { Caller } from "./auth/Caller.ts"

export interface Change {
  readonly action: string
  readonly objectType: "application" | "key" | "credential" | "connection"
  readonly objectId: string
  readonly before?: Readonly<Record<string, unknown>> | undefined
  readonly after?: Readonly<Record<string, unknown>> | undefined
}

export interface By {
  readonly caller: Caller
  readonly requestId: string
}

export const writeAudit = (database: Database["Service"], by: By, change: Change): Effect.Effect<void, DatabaseError> =>
  Effect.asVoid(
    database.query(
      (sql) => sql`
        insert into gateway.audit (tenant_id, actor, key_id, request_id, action, object_type, object_id, before, after)
        values (${by.caller.tenant_id}, ${by.caller.kind}, ${by.caller.key_id}, ${by.requestId}, ${change.action}, ${change.objectType},
          ${change.objectId}, ${change.before === undefined ? null : sql.json(change.before as never)},
          ${change.after === undefined ? null : sql.json(change.after as never)})`
    )
  )

/**
 * A change that another service makes. Rows: `<action>`, then `<action>_done` with what it answered, or `<action>_failed` with the error's
 * code; `unavailable` there means that nobody knows. `ask` runs only when the first row stands. Its outcome is the caller's whatever becomes of
 * the second: a database that is away by then leaves the wish without its answer, and a log line.
 */
export const auditAsked = <A extends Readonly<Record<string, unknown>>, E extends { readonly code?: string }, R>(
  database: Database["Service"],
  by: By,
  change: Omit<Change, "after">,
  ask: Effect.Effect<A, E, R>
): Effect.Effect<A, E | DatabaseError, R> => {
  const { objectType, objectId, action } = change
  const answered = (outcome: "done" | "failed", after: Readonly<Record<string, unknown>>) =>
    writeAudit(database, by, { action: `${action}_${outcome}`, objectType, objectId, after }).pipe(
      Effect.retry({ times: 2, schedule: Schedule.spaced("100 millis") }),
      Effect.catch((error) =>
        Effect.logError("an outcome is missing in the audit log", { action, outcome, objectId, error: error.message })
      )
    )
  return Effect.gen(function* () {
    yield* writeAudit(database, by, change)
    const answer = yield* Effect.tapError(ask, (error) => answered("failed", { error: error.code ?? "unknown" }))
    yield* answered("done", answer)
    return answer
  })
}
