/** Names whose last attempt failed, for an operator: a page at a time, the longest failing first. Reads `certifier.claims` by its index of failures. */
import { Database } from "@connect-domain/database/Database.ts"
import { Effect } from "effect"

interface Row {
  readonly claim_id: string
  readonly hostname: string
  readonly tenant_id: string
  readonly failures: number
  readonly kind: string | null
  readonly last_error: string | null
  readonly failing_since: Date | null
  readonly next_attempt_at: Date | null
  readonly paused_until: Date | null
  readonly not_after: Date | null
  /** Since when it fails, to the microsecond: with the claim's id its place in the list. */
  readonly since: string
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null

/** Where a page ended: holds whatever becomes of the claim that it ended with. */
const cursorOf = ({ since, claim_id }: Row): string => `${since}/${claim_id}`
/** Undefined: no cursor of ours. */
export const readCursor = (text: string): { readonly since: string; readonly claimId: string } | undefined => {
  const [since = "", claimId] = text.split("/")
  return claimId === undefined || Number.isNaN(Date.parse(since)) ? undefined : { since, claimId }
}

export const makeListFailing = Effect.map(Database, ({ query }) => (after: ReturnType<typeof readCursor>, limit: number) => {
  const most = Math.min(Math.max(limit, 1), 1000)
  const page = query<Row>(
    (sql) => sql`
      with failing as (
        select c.*, coalesce(failing_since, failed_at, created_at) as since from certifier.claims c where failures > 0 and state <> 'released'
      )
      select f.claim_id, f.hostname, f.tenant_id, f.failures, f.failed_kind as kind, f.last_error, f.failing_since,
        f.retry_at as next_attempt_at, f.paused_until, t.not_after, to_json(f.since) #>> '{}' as since
      from failing f left join certifier.certificates t on t.claim_id = f.claim_id and t.state = 'current'
      where ${after === undefined} or (f.since, f.claim_id) > (${after?.since ?? null}::timestamptz, ${after?.claimId ?? null}::text)
      order by f.since, f.claim_id limit ${most}`
  )
  return Effect.map(page, (rows) => ({
    failing: rows.map(({ since, ...row }) => ({
      ...row,
      failing_since: iso(row.failing_since),
      next_attempt_at: iso(row.next_attempt_at),
      paused_until: iso(row.paused_until),
      not_after: iso(row.not_after)
    })),
    next: rows.length < most ? null : cursorOf(rows.at(-1)!)
  }))
})
