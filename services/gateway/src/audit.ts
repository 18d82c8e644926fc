/**
 * The audit log (requirement P10): who changed what, in the same transaction as the change, append-only by grant.
 *
 * Owns: the row. Leaves to callers: leaving secrets out of `before` and `after`.
 */
import type { Database, DatabaseError } from "@connect-domain/database/Database.ts"
import { Effect } from "effect"
import type { Caller } from "./auth/Caller.ts"

export interface Change {
  readonly action: string
  readonly objectType: "application" | "key" | "credential"
  readonly objectId: string
  readonly before?: Readonly<Record<string, unknown>> | undefined
  readonly after?: Readonly<Record<string, unknown>> | undefined
}

export const writeAudit = (
  database: Database["Service"],
  by: { readonly caller: Caller; readonly requestId: string },
  change: Change
): Effect.Effect<void, DatabaseError> =>
  Effect.asVoid(
    database.query(
      (sql) => sql`
        insert into gateway.audit (tenant_id, actor, key_id, request_id, action, object_type, object_id, before, after)
        values (${by.caller.tenant_id}, ${by.caller.kind}, ${by.caller.key_id}, ${by.requestId}, ${change.action}, ${change.objectType},
          ${change.objectId}, ${change.before === undefined ? null : sql.json(change.before as never)},
          ${change.after === undefined ? null : sql.json(change.after as never)})`
    )
  )
