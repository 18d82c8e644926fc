/**
 * When a claim whose attempts fail is tried again because somebody says that something has changed, whatever the ladder says.
 *
 * Owns: these instants, as SQL over `certifier.claims`. Leaves to `retryLadder.ts`: when nobody says anything. Built against: a reason that comes while the
 * claim is being tried, and would be lost with the moment.
 */
import type { Sql, Statement } from "@connect-domain/database/Database.ts"

/** What the CA did not refuse costs nobody anything when it is tried again. */
export const afterPause = (sql: Sql, failedAt: Statement, kind: Statement): Statement =>
  sql`greatest(now(), coalesce(${failedAt}, now()) + case when ${kind} in ('refused', 'limited') then interval '1 minute' else interval '2 seconds' end)`

/** For a reason that came during the lease that ends now; null when none did. `kind`: of the failure that ends it, if one does. */
export const whenUrged = (sql: Sql, kind?: string): Statement => {
  const soon = kind === undefined ? afterPause(sql, sql`failed_at`, sql`failed_kind`) : afterPause(sql, sql`now()`, sql`${kind}::text`)
  return sql`case when urged then ${soon} end`
}
