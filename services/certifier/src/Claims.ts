/**
 * The claims that the certifier looks after, one row each, and the lease under which one is worked on.
 *
 * Owns: the table `certifier.claims`; leasing (one worker per claim, fenced by a Postgres sequence), deadlines, order progress.
 * Leaves to `attendClaim.ts`: what to do with a leased claim; to `Certificates.ts`: the certificates.
 * Built against: two orders for one name. A lease is taken and fenced by one statement on the row that it protects, so it holds across
 * processes and outlives NATS; every later write names its fence, and a worker that was stopped past its lease changes nothing.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import type { DesiredRecord } from "@connect-domain/messages/record.ts"
import { contextHeaders } from "@connect-domain/telemetry/requestContext.ts"
import { Context, Effect, Layer } from "effect"
import type { Environment } from "./acmeDirectories.ts"
import { type Claim, type ClaimFailure, type ClaimPlan, LeaseLost } from "./Claim.ts"
import { afterPause, whenUrged } from "./urging.ts"

/** A worker renews its lease in a third of this; after a crash the claim is free again this much later, in seconds. */
export const leaseSeconds = 9

/** The payload of `ensureCertificate`. */
export type Wish = Pick<Claim, "claim_id" | "connection_id" | "tenant_id" | "hostname" | "environment"> & {
  readonly records?: ReadonlyArray<DesiredRecord> | undefined
  readonly reason?: string | undefined
}

type Held = Pick<Claim, "claim_id" | "fence">
type Write<A = void> = Effect.Effect<A, DatabaseError | LeaseLost>

export class Claims extends Context.Service<
  Claims,
  {
    /**
     * "This claim shall have a certificate." Idempotent; a released claim stays released, one in back-off or paused stays there, unless
     * `reason` says what has changed: then it is tried again, a minute after a CA's refusal at the earliest, seconds after another failure;
     * when it is being tried just now, after that, if it fails. */
    readonly want: (wish: Wish) => Effect.Effect<void, DatabaseError>
    /** The claim ended. Also for a claim never heard of, so that a late `want` finds it released. */
    readonly release: (claim: Pick<Claim, "claim_id" | "connection_id" | "hostname">) => Effect.Effect<void, DatabaseError>
    /**
     * Leases up to `limit` claims that are due; those without a certificate first: somebody is waiting for them, unless
     * no CA of their environment takes orders (`paused`). None while an account's key is being changed. */
    readonly lease: (limit: number, paused: ReadonlyArray<Environment>) => Effect.Effect<ReadonlyArray<Claim>, DatabaseError>
    /**
     * Milliseconds until a claim is due or a crashed worker's lease ends; undefined when none ever is. For claims that are served a second
     * at least: with many of them, those of a second are leased together. */
    readonly nextDue: (paused: ReadonlyArray<Environment>) => Effect.Effect<number | undefined, DatabaseError>
    readonly extend: (claim: Held) => Write
    /** The order under way; null forgets it. */
    readonly saveOrder: (
      claim: Held,
      order: { readonly url: string; readonly keySealed: string; readonly directory: string } | null
    ) => Write
    /** Ends the lease after success or a mere look: `dueAt` is the next deadline. */
    readonly settle: (claim: Held, next: ClaimPlan) => Write
    /** Ends the lease with nothing changed but the deadline: null is the instant of the next attempt, or now when there is none. */
    readonly putBack: (claim: Held, dueAt: Date | null) => Write
    /** Which CAs may issue, as the DNS says. Keeps the lease. */
    readonly rememberCaa: (claim: Held, caa: CaaAnswer) => Write
    /** Ends the lease after a failure; gives back when it is tried again at the earliest. */
    readonly fail: (claim: Held, failure: ClaimFailure) => Write<Date>
    /** Ends the lease of a released claim for good. */
    readonly close: (claim: Held) => Write
  }
>()("certifier/Claims") {
  static readonly layer = Layer.effect(Claims, Effect.map(Database, make))
}

function make(database: Database["Service"]): Claims["Service"] {
  const { query } = database
  const fencedRow = <Row>(held: Held, effect: Effect.Effect<ReadonlyArray<Row>, DatabaseError>): Write<Row> =>
    Effect.flatMap(effect, ([row]) => (row === undefined ? Effect.fail(new LeaseLost({ claimId: held.claim_id })) : Effect.succeed(row)))
  const fenced = (held: Held, effect: Effect.Effect<ReadonlyArray<unknown>, DatabaseError>): Write => Effect.asVoid(fencedRow(held, effect))

  return Claims.of({
    want: ({ claim_id, connection_id, tenant_id, hostname, environment, records, reason }) =>
      Effect.withFiber((fiber) => {
        const asked_by = contextHeaders(fiber.context) ?? null
        const asking = query((sql) => {
          const said = records === undefined ? sql`null::jsonb` : sql`${sql.json(records as never)}::jsonb`
          const retry = sql`(${reason !== undefined} and c.failures > 0 and not c.leased)`
          const urged = sql`(${reason !== undefined} and c.state = 'wanted' and c.leased)`
          const soon = afterPause(sql, sql`c.failed_at`, sql`c.failed_kind`)
          return sql`
            insert into certifier.claims as c (claim_id, connection_id, tenant_id, hostname, environment, due_at, records, asked_by)
            values (${claim_id}, ${connection_id}, ${tenant_id}, ${hostname}, ${environment}, now(), ${said}, ${sql.json(asked_by)}::jsonb)
            on conflict (claim_id) do update set
              records = coalesce(excluded.records, c.records),
              asked_by = excluded.asked_by,
              answer_owed = c.answer_owed or c.state = 'held',
              urged = c.urged or ${urged},
              failures = case when ${retry} then 0 else c.failures end,
              failing_since = case when ${retry} then null else c.failing_since end,
              paused_until = case when ${retry} then null else c.paused_until end,
              retry_at = case when ${retry} then ${soon} else c.retry_at end,
              due_at = case when c.leased then c.due_at when c.state = 'held' then now() when ${retry} then ${soon} else c.due_at end,
              updated_at = now()
            where c.state = 'held' or (c.state = 'wanted' and (${retry} or ${urged} or (excluded.records is not null and c.records is null)))`
        })
        return Effect.asVoid(asking)
      }),

    release: (claim) =>
      Effect.asVoid(
        query(
          (sql) => sql`
            insert into certifier.claims (claim_id, connection_id, tenant_id, hostname, environment, state)
            values (${claim.claim_id}, ${claim.connection_id}, '', ${claim.hostname}, 'live', 'released')
            on conflict (claim_id) do update set
              state = 'released',
              due_at = case when claims.leased then claims.due_at else now() end,
              updated_at = now()
            where claims.state <> 'released'`
        )
      ),

    lease: (limit, paused) =>
      query<Claim>(
        (sql) => sql`
          with rolling as (
            select 1 from certifier.accounts where rolling_until > now()
          ), waiting as (
            select claim_id from certifier.claims where not exists (select from rolling) and due_at <= now() and state = 'wanted' and not (environment = any(${sql.array([...paused])}::text[]))
            order by due_at limit ${limit} for update skip locked
          ), others as (
            select claim_id from certifier.claims where not exists (select from rolling) and due_at <= now() and state <> 'wanted'
            order by due_at limit greatest(0, ${limit} - (select count(*) from waiting)) for update skip locked
          )
          update certifier.claims c set
            leased = true, fence = nextval('certifier.fences'), due_at = now() + make_interval(secs => ${leaseSeconds})
          -- An array, not a join: how many rows a computed limit gives is guessed as a tenth of all, and a million rows are read for sixteen.
          where c.claim_id = any(array(select claim_id from waiting union all select claim_id from others))
          returning c.claim_id, c.connection_id, c.tenant_id, c.hostname, c.environment, c.state, c.fence, c.order_url, c.order_key_sealed,
            c.order_directory, c.failures, c.replace_reason, c.renew_at, c.renew_because, c.window_start, c.window_end, c.answer_owed,
            c.records, c.caa, c.caa_looked_at, c.failing_since, c.paused_until, c.paused_view, c.asked_by,
            coalesce(c.retry_at > now(), false) as held_back`
      ),

    nextDue: (paused) =>
      Effect.map(
        query<{ millis: number | null }>(
          (sql) => sql`
            select extract(epoch from least(
              (select greatest(min(due_at), now() + interval '1 second') from certifier.claims where due_at is not null and state <> 'wanted'),
              (select min(due_at) from certifier.claims
                where due_at is not null and state = 'wanted' and not (environment = any(${sql.array([...paused])}::text[])))
            ) - now())::float8 * 1000 as millis`
        ),
        (rows) => rows[0]?.millis ?? undefined
      ),

    extend: (held) =>
      fenced(
        held,
        query(
          (sql) => sql`
            update certifier.claims set due_at = now() + make_interval(secs => ${leaseSeconds})
            where claim_id = ${held.claim_id} and fence = ${held.fence} and leased and state <> 'released' returning 1`
        )
      ),

    saveOrder: (held, order) =>
      fenced(
        held,
        query(
          (sql) => sql`
            update certifier.claims set order_url = ${order?.url ?? null}, order_key_sealed = ${order?.keySealed ?? null},
              order_directory = ${order?.directory ?? null}, updated_at = now()
            where claim_id = ${held.claim_id} and fence = ${held.fence} returning 1`
        )
      ),

    // Who asked, released or marked the claim while it was leased left its wish in the row: then it is due at once.
    settle: (held, next) =>
      fenced(
        held,
        query(
          (sql) => sql`
            update certifier.claims set
              leased = false, urged = false, failures = 0, failed_kind = null, last_error = null, answer_owed = false,
              failing_since = null, failed_at = null, retry_at = null, paused_until = null, paused_view = null, asked_by = null,
              state = case when state = 'released' then state else 'held' end,
              order_url = null, order_key_sealed = null, order_directory = null,
              replace_reason = case when ${next.replaced} then null else replace_reason end,
              renew_at = ${next.renewAt}, renew_because = ${next.renewBecause},
              window_start = ${next.window?.start ?? null}, window_end = ${next.window?.end ?? null},
              due_at = case when state = 'released' or (replace_reason is not null and not ${next.replaced}) then now()
                else ${next.dueAt}::timestamptz end,
              updated_at = now()
            where claim_id = ${held.claim_id} and fence = ${held.fence} returning 1`
        )
      ),

    putBack: (held, dueAt) =>
      fenced(
        held,
        query(
          (sql) => sql`
            update certifier.claims set leased = false, urged = false, answer_owed = false, updated_at = now(),
              retry_at = least(retry_at, ${whenUrged(sql)}),
              due_at = case when state = 'released' or replace_reason is not null then now()
                else coalesce(least(${dueAt}::timestamptz, ${whenUrged(sql)}), greatest(retry_at, now())) end
            where claim_id = ${held.claim_id} and fence = ${held.fence} returning 1`
        )
      ),

    rememberCaa: (held, caa) =>
      fenced(
        held,
        query(
          (sql) => sql`
            update certifier.claims set caa = ${sql.json(caa as never)}, caa_looked_at = now()
            where claim_id = ${held.claim_id} and fence = ${held.fence} returning 1`
        )
      ),

    fail: (held, failure) =>
      fencedRow(
        held,
        query<{ retry_at: Date }>(
          (sql) => sql`
            update certifier.claims set
              leased = false, urged = false, failures = ${failure.failures}::int, failed_kind = ${failure.kind},
              last_error = ${failure.message}, failing_since = ${failure.failingSince}, failed_at = now(),
              retry_at = least(${failure.retryAt}::timestamptz, ${whenUrged(sql, failure.kind)}),
              paused_until = ${failure.pausedUntil}, paused_view = ${failure.pausedView},
              order_url = case when ${failure.forgetOrder} then null else order_url end,
              order_key_sealed = case when ${failure.forgetOrder} then null else order_key_sealed end,
              order_directory = case when ${failure.forgetOrder} then null else order_directory end,
              due_at = case when state = 'released' then now()
                else least(${failure.dueAt}::timestamptz, ${whenUrged(sql, failure.kind)}) end,
              updated_at = now()
            where claim_id = ${held.claim_id} and fence = ${held.fence} returning retry_at`
        )
      ).pipe(Effect.map(({ retry_at }) => retry_at)),

    close: (held) =>
      fenced(
        held,
        query(
          (sql) => sql`
            update certifier.claims set leased = false, urged = false, due_at = null, order_url = null, order_key_sealed = null, order_directory = null,
              renew_at = null, window_start = null, window_end = null, replace_reason = null, last_error = null, updated_at = now()
            where claim_id = ${held.claim_id} and fence = ${held.fence} returning 1`
        )
      )
  })
}
