/**
 * Certificates that somebody wants revoked, and those that are.
 *
 * Owns: the wish (a row before anybody is answered), its order: what is served is replaced, then revoked; a compromised key is revoked
 * first. Leaves to the scheduler the replacing, to `acme/orders.ts` the request. Certificates of the internal CA and imported ones are not
 * ours to revoke: nobody publishes a list for the first, and their own CA does it for the second.
 * Built against: a revocation that a crash forgets, one that takes a site down before its successor is served, and one that never succeeds
 * in the way of others: each waits for itself, and those of a CA that is not set up any more wait until it is (`certificate_revocations_waiting`).
 */
import { X509Certificate } from "node:crypto"
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Context, Effect, Layer, Schedule } from "effect"
import { Accounts } from "../Accounts.ts"
import { Authorities } from "../Authorities.ts"
import type { AcmeError } from "../acme/AcmeError.ts"
import { splitChain } from "../acme/certificateFacts.ts"
import { revokeCertificate } from "../acme/orders.ts"
import { Certificates } from "../Certificates.ts"
import { Notices } from "../Notices.ts"

/** RFC 5280 §5.3.1. */
export const reasonCodes = { unspecified: 0, keyCompromise: 1, affiliationChanged: 3, superseded: 4, cessationOfOperation: 5 } as const
export type RevocationReason = keyof typeof reasonCodes

/** A CA that does not take a revocation is asked after 5 s, 10 s, 20 s … and then this often. */
const longestWaitSeconds = 3600

export interface RevocationFilter {
  readonly serial: string | null
  readonly connection_id: string | null
}

export class Revocations extends Context.Service<
  Revocations,
  {
    /** How many match; unless `mark` is false they are marked, and replaced where they are served. */
    readonly want: (filter: RevocationFilter, reason: RevocationReason, mark: boolean) => Effect.Effect<number, DatabaseError>
    /** Revokes what may be revoked now; gives back how many were. Failures are logged and tried at the next round. */
    readonly round: Effect.Effect<number, DatabaseError>
  }
>()("certifier/Revocations") {
  static readonly layer = Layer.effect(
    Revocations,
    Effect.gen(function* () {
      return make(yield* Database, yield* Authorities, yield* Accounts, yield* Certificates, yield* Notices)
    })
  )

  /** Works while its scope is open: a successor that is served, or a wish, is seen within five seconds. */
  static readonly worker = Layer.effectDiscard(
    Effect.gen(function* () {
      const revocations = yield* Revocations
      yield* revocations.round.pipe(
        Effect.tapError((error) => Effect.logWarning("revocations: trying again", { error: error.message })),
        Effect.ignore,
        Effect.repeat(Schedule.spaced("5 seconds")),
        Effect.forkScoped
      )
    })
  )
}

interface Wanted {
  readonly id: string
  readonly claim_id: string
  readonly chain: string
  readonly serial: string
  readonly directory: string
  readonly revoke_reason: number
}

const make = (
  { query, transaction }: Database["Service"],
  authorities: Authorities["Service"],
  accounts: Accounts["Service"],
  certificates: Certificates["Service"],
  notices: Notices["Service"]
): Revocations["Service"] => {
  const want: Revocations["Service"]["want"] = (filter, reason, mark) =>
    Effect.map(
      query<{ count: number }>((sql) => {
        const matching = sql`
          select t.id from certifier.certificates t join certifier.claims c using (claim_id)
          where t.state in ('current', 'superseded', 'destroyed') and t.revoked_at is null and t.not_after > now()
            and t.directory not in ('internal', 'imported')
            and (${filter.serial}::text is null or t.serial = ${filter.serial})
            and (${filter.connection_id}::text is null or c.connection_id = ${filter.connection_id})`
        return mark
          ? sql`
              with marked as (
                update certifier.certificates set revoke_reason = ${reasonCodes[reason]}, revoke_now = ${reason === "keyCompromise"},
                  revoke_tries = 0, revoke_after = null
                where id in (${matching}) returning claim_id, state
              ), replaced as (
                update certifier.claims set replace_reason = ${`revoked: ${reason}`}, failures = 0, retry_at = null, paused_until = null,
                  due_at = case when leased then due_at else now() end, updated_at = now()
                where state = 'held' and claim_id in (select claim_id from marked where marked.state = 'current')
              ) select count(*)::int as count from marked`
          : sql`select count(*)::int as count from (${matching}) as found`
      }),
      (rows) => rows[0]!.count
    )

  /** The CA has done it. Whoever is served by it meanwhile is told; one that is replaced by now is nobody's news. */
  const keep = Effect.fnUntraced(function* ({ id }: Wanted) {
    const [served] = yield* query<{ connection_id: string; claim_id: string }>(
      (sql) => sql`
        with revoked as (update certifier.certificates set revoked_at = now() where id = ${id} returning claim_id, state)
        select c.connection_id, c.claim_id from revoked r join certifier.claims c using (claim_id) where r.state = 'current'`
    )
    const [certificate] = served === undefined ? [] : yield* certificates.byIds([id])
    if (served !== undefined && certificate !== undefined) yield* notices.revoked(served, certificate)
  })

  const revoke = Effect.fnUntraced(function* (wanted: Wanted) {
    const session = authorities.sessionOf(wanted.directory)!
    const account = yield* accounts.at(wanted.directory, session)
    const leaf = new X509Certificate(splitChain(wanted.chain)[0]!)
    yield* revokeCertificate(session, account, leaf.raw, wanted.revoke_reason)
    yield* transaction(keep(wanted))
    yield* Effect.logInfo("certificate revoked", { serial: wanted.serial, directory: wanted.directory, reason: wanted.revoke_reason })
    return true
  })

  const later = ({ id, serial }: Wanted, error: AcmeError) =>
    Effect.andThen(
      Effect.logWarning("not revoked yet", { serial, error: error.message }),
      Effect.as(
        query(
          (sql) => sql`
            update certifier.certificates set revoke_tries = least(revoke_tries + 1, 20),
              revoke_after = now() + make_interval(secs => least(5 * 2 ^ revoke_tries, ${longestWaitSeconds}))
            where id = ${id}`
        ),
        false
      )
    )

  const round = Effect.gen(function* () {
    const known = authorities.acme.map(({ directory }) => directory)
    const rows = yield* query<Wanted>(
      (sql) => sql`
        select id, claim_id, chain, serial, directory, revoke_reason from certifier.certificates
        where revoke_reason is not null and revoked_at is null and (revoke_now or state in ('superseded', 'destroyed'))
          and directory = any(${sql.array(known)}::text[]) and not_after > now() and (revoke_after is null or revoke_after <= now())
        order by created_at limit 200`
    )
    const done = yield* Effect.forEach(rows, (row) => Effect.catchTag(revoke(row), "AcmeError", (error) => later(row, error)), {
      concurrency: 4
    })
    return done.filter((each) => each).length
  })

  return Revocations.of({ want, round })
}
