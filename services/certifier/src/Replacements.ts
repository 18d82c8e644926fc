/**
 * Which certificates must be replaced whatever their dates: by provenance (A9), or because their CA has forgotten them.
 *
 * Owns: the mark `replace_reason` on claims. Leaves to the scheduler: doing it; what is served stays until its successor is.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Context, Effect, Layer } from "effect"

/** All that is given must hold; null asks for nothing. */
export interface CertificateFilter {
  readonly ca: string | null
  readonly challenge: string | null
  readonly since: Date | null
  readonly until: Date | null
  readonly serial: string | null
}

/** Why a claim is replaced whose CA forgot it: that CA knows neither account nor certificate any more. */
export const issuerVanished = "issuer vanished"

export class Replacements extends Context.Service<
  Replacements,
  {
    /** Marks for replacement every claim whose current certificate of `directory` is not under one of the `trusted` tops (SHA-256). */
    readonly replaceForeign: (directory: string, trusted: ReadonlyArray<string>) => Effect.Effect<number, DatabaseError>
    /** Marks for replacement every claim whose current certificate matches; gives back how many there are, also when `mark` is false. */
    readonly replaceMatching: (filter: CertificateFilter, reason: string, mark: boolean) => Effect.Effect<number, DatabaseError>
    /** Claims marked for replacement that were not tried yet. */
    readonly replacing: Effect.Effect<number, DatabaseError>
  }
>()("certifier/Replacements") {
  static readonly layer = Layer.effect(Replacements, Effect.map(Database, make))
}

function make({ query }: Database["Service"]): Replacements["Service"] {
  return Replacements.of({
    replaceMatching: (filter, reason, mark) =>
      Effect.map(
        query<{ count: number }>((sql) => {
          const matching = sql`
            select t.claim_id from certifier.certificates t join certifier.claims c using (claim_id)
            where t.state = 'current' and c.state = 'held' and t.directory <> 'imported'
              and (${filter.ca}::text is null or t.ca = ${filter.ca}) and (${filter.challenge}::text is null or t.challenge = ${filter.challenge})
              and (${filter.since}::timestamptz is null or t.created_at >= ${filter.since})
              and (${filter.until}::timestamptz is null or t.created_at < ${filter.until})
              and (${filter.serial}::text is null or t.serial = ${filter.serial})`
          return mark
            ? sql`
                with marked as (
                  update certifier.claims set replace_reason = ${reason}, failures = 0, retry_at = null, paused_until = null,
                    due_at = case when leased then due_at else now() end, updated_at = now()
                  where claim_id in (${matching}) returning 1
                ) select count(*)::int as count from marked`
            : sql`select count(*)::int as count from (${matching}) as found`
        }),
        (rows) => rows[0]!.count
      ),

    replaceForeign: (directory, trusted) =>
      Effect.map(
        query(
          (sql) => sql`
            update certifier.claims c set replace_reason = ${issuerVanished}, failures = 0, retry_at = null, paused_until = null,
              due_at = case when c.leased then c.due_at else now() end, updated_at = now()
            from certifier.certificates t
            where t.claim_id = c.claim_id and t.state = 'current' and t.directory = ${directory}
              and not (t.top_fingerprint = any(${sql.array([...trusted])}::text[])) and c.state = 'held' and c.replace_reason is null
            returning 1`
        ),
        (rows) => rows.length
      ),

    replacing: Effect.map(
      query<{ count: number }>(
        (sql) =>
          sql`select count(*)::int as count from certifier.claims where replace_reason is not null and state = 'held' and failures = 0`
      ),
      (rows) => rows[0]!.count
    )
  })
}
