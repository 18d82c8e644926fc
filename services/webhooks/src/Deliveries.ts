/**
 * What each endpoint is owed: one row per event and endpoint, from the moment the event arrives until it is delivered or given up.
 *
 * Owns: inserting rows (once, whoever brings the event), which endpoints have something due, claiming under a lease, and what a result
 * changes. Leaves sending to `deliver.ts`, when to look to `Dispatcher.ts`, what callers see to `DeliveryLog.ts`.
 * Built against: two replicas on one row, a sender that dies with a claim (the lease is the next due time: it comes back by itself), a
 * result that arrives after its lease ended (its lease number is old: dropped), and a backlog that hides other endpoints' rows.
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import type { ConnectionEvent } from "@connect-domain/messages/events.ts"
import { Config, Context, Effect, Layer } from "effect"
import type { AttemptResult, Verdict } from "./retrySchedule.ts"
import type { SealedSecret } from "./Secrets.ts"

/** Days of nothing but failures after which an endpoint is switched off. Default 5. */
export const DisableAfterDays = Config.Int("CD_WEBHOOK_DISABLE_AFTER_DAYS").pipe(Config.withDefault(5))

/** How long a claim is its claimer's: well above the five seconds that an attempt may take. Seconds. */
export const leaseSeconds = 30
/** Rows claimed at once, and so requests at the same time per endpoint: fewer while it fails. */
export const claimSize = { healthy: 8, failing: 2 }
/** Events older than this are not delivered any more: their rows may have been cleared away after delivery. Days. */
export const eventMaxAgeDays = 45

/** A delivery in our hands until its lease ends. */
export interface Claim {
  readonly id: string
  readonly lease: number
  readonly tenant_id: string
  readonly endpoint_id: string
  readonly event_id: string
  readonly event_type: string
  readonly connection_id: string
  readonly sequence: number
  readonly data: Readonly<Record<string, unknown>>
  readonly step: number
  readonly url: string
  /** The endpoint's last attempt failed. */
  readonly failing: boolean
  readonly secrets: ReadonlyArray<SealedSecret>
}

export interface Due {
  readonly endpoint_id: string
  /** Milliseconds until its next row is due; not above 0: now. */
  readonly wait: number
  readonly failing: boolean
}

export class Deliveries extends Context.Service<
  Deliveries,
  {
    /** Owes an event to every endpoint that wants it; answers those that did not have it yet. Idempotent. */
    readonly owe: (event: ConnectionEvent) => Effect.Effect<ReadonlyArray<Pick<Due, "endpoint_id" | "failing">>, DatabaseError>
    /** Every endpoint with pending rows and when its first one is due. Costs one index look-up per such endpoint. */
    readonly due: Effect.Effect<ReadonlyArray<Due>, DatabaseError>
    /** Takes due rows of one endpoint; none if it has none due. Rows of an endpoint that was switched off are cancelled instead. */
    readonly claim: (endpoint: string) => Effect.Effect<ReadonlyArray<Claim>, DatabaseError>
    /** Keeps the attempt and does what the verdict says. Answers false if the lease was lost and nothing was kept. */
    readonly settle: (claim: Claim, startedAt: Date, result: AttemptResult, verdict: Verdict) => Effect.Effect<boolean, DatabaseError>
  }
>()("webhooks/Deliveries") {
  static readonly layer = Layer.effect(
    Deliveries,
    Effect.gen(function* () {
      const database = yield* Database
      const disableAfterDays = yield* DisableAfterDays
      return Deliveries.of({
        owe: (event) => owe(database, event),
        due: database.query<Due>(
          (sql) => sql`
            with recursive first as (
              (select endpoint_id, next_attempt_at from webhooks.deliveries where status = 'pending'
               order by endpoint_id, next_attempt_at limit 1)
              union all
              select n.endpoint_id, n.next_attempt_at from first f cross join lateral (
                select endpoint_id, next_attempt_at from webhooks.deliveries
                where status = 'pending' and endpoint_id > f.endpoint_id order by endpoint_id, next_attempt_at limit 1) n
            )
            select f.endpoint_id, (extract(epoch from f.next_attempt_at - now()) * 1000)::float8 as wait, e.failing_since is not null as failing
            from first f join webhooks.endpoints e on e.id = f.endpoint_id`
        ),
        claim: Effect.fn("Deliveries.claim")(function* (endpoint) {
          const claims = yield* claim(database, endpoint)
          if (claims.length === 0) yield* cancelIfOff(database, endpoint)
          return claims
        }),
        settle: (one, startedAt, result, verdict) =>
          Effect.map(settle(database, disableAfterDays, one, startedAt, result, verdict), (rows) => rows.length > 0)
      })
    })
  )
}

/** Two seconds of grace: an event's time comes from another machine's clock than the endpoint's. */
const owe = (database: Database["Service"], event: ConnectionEvent) =>
  database.query<Pick<Due, "endpoint_id" | "failing">>(
    (sql) => sql`
      with wanting as (
        select e.id, e.tenant_id, e.failing_since is not null as failing from webhooks.endpoints e
        where e.tenant_id = ${event.tenant_id}::uuid and e.active
          and (e.application_id is null or e.application_id = ${event.application_id}::uuid)
          and (e.events = '{}' or ${event.type} = any(e.events))
          and e.created_at <= ${event.occurred_at}::timestamptz + interval '2 seconds'
          and ${event.occurred_at}::timestamptz > now() - ${eventMaxAgeDays} * interval '1 day'
      ), owed as (
        insert into webhooks.deliveries (id, tenant_id, endpoint_id, event_id, event_type, connection_id, sequence, data)
        select gen_random_uuid(), w.tenant_id, w.id, ${event.id}::uuid, ${event.type}, ${event.connection_id}::uuid, ${event.sequence}::bigint,
               ${sql.json(event.data as never)}::jsonb
        from wanting w
        on conflict (event_id, endpoint_id) do nothing
        returning endpoint_id
      )
      select o.endpoint_id, w.failing from owed o join wanting w on w.id = o.endpoint_id`
  )

const claim = (database: Database["Service"], endpoint: string) =>
  database.query<Claim>(
    (sql) => sql`
      with picked as (
        select d.id from webhooks.deliveries d
        where d.endpoint_id = ${endpoint}::uuid and d.status = 'pending' and d.next_attempt_at <= now()
          and exists (select 1 from webhooks.endpoints e where e.id = ${endpoint}::uuid and e.active)
        order by d.next_attempt_at
        limit (select case when failing_since is null then ${claimSize.healthy}::int else ${claimSize.failing}::int end
               from webhooks.endpoints where id = ${endpoint}::uuid)
        for update skip locked
      )
      update webhooks.deliveries d set lease = d.lease + 1, next_attempt_at = now() + ${leaseSeconds} * interval '1 second'
      from picked, webhooks.endpoints e
      where d.id = picked.id and e.id = d.endpoint_id
      returning d.id, d.lease, d.tenant_id, d.endpoint_id, d.event_id, d.event_type, d.connection_id, d.sequence, d.data, d.step, e.url, e.failing_since is not null as failing,
        (select coalesce(json_agg(json_build_object('id', s.id, 'sealed', s.sealed) order by s.created_at), '[]')
         from webhooks.secrets s where s.endpoint_id = d.endpoint_id and (s.expires_at is null or s.expires_at > now())) as secrets`
  )

/** A row that was owed while its endpoint was being switched off would be due for ever. */
const cancelIfOff = (database: Database["Service"], endpoint: string) =>
  database.query(
    (sql) => sql`
      update webhooks.deliveries d set status = 'cancelled', next_attempt_at = null, lease = d.lease + 1
      where d.endpoint_id = ${endpoint}::uuid and d.status = 'pending'
        and exists (select 1 from webhooks.endpoints e where e.id = d.endpoint_id and not e.active)`
  )

const statusAfter = { delivered: "delivered", retry: "pending", exhausted: "failed", gone: "failed" } as const

/** One statement, so one transaction: the delivery, the attempt, and the endpoint where the result changes it. */
const settle = (
  database: Database["Service"],
  disableAfterDays: number,
  one: Claim,
  startedAt: Date,
  result: AttemptResult,
  verdict: Verdict
) => {
  const status = statusAfter[verdict.kind]
  const delay = verdict.kind === "retry" ? verdict.delaySeconds : null
  const succeeded = verdict.kind === "delivered"
  const tested = one.event_type === testType
  return database.query<{ id: string }>(
    (sql) => sql`
      with mine as (
        update webhooks.deliveries set
          attempts = attempts + 1, step = step + 1, status = ${status}, next_attempt_at = now() + ${delay}::float8 * interval '1 second',
          delivered_at = case when ${succeeded} then now() else delivered_at end
        where id = ${one.id}::uuid and lease = ${one.lease} and status = 'pending'
        returning id, attempts
      ), kept as (
        insert into webhooks.attempts (delivery_id, attempt, started_at, status_code, latency_ms, error)
        select id, attempts, ${startedAt.toISOString()}::timestamptz, ${result.status ?? null}::int, ${Math.round(result.latencyMs)}::int,
               ${result.error ?? null}::text from mine
      ), endpoint as (
        select e.id, ${verdict.kind} = 'gone' as gone,
          not ${succeeded} and coalesce(e.failing_since < now() - ${disableAfterDays} * interval '1 day', false) as failed_too_long
        from webhooks.endpoints e, mine
        where e.id = ${one.endpoint_id}::uuid and not ${tested}
          and ((${succeeded} and e.failing_since is not null) or (not ${succeeded} and e.active))
      ), changed as (
        update webhooks.endpoints e set
          failing_since = case when ${succeeded} then null else coalesce(e.failing_since, now()) end,
          active = e.active and not (p.gone or p.failed_too_long),
          disabled_reason = case when p.gone then 'gone' when p.failed_too_long then 'failing' else e.disabled_reason end,
          updated_at = case when p.gone or p.failed_too_long then now() else e.updated_at end
        from endpoint p where e.id = p.id and (${succeeded} or e.failing_since is null or p.gone or p.failed_too_long)
      ), cancelled as (
        update webhooks.deliveries d set status = 'cancelled', next_attempt_at = null, lease = d.lease + 1
        from endpoint p
        where (p.gone or p.failed_too_long) and d.endpoint_id = p.id and d.status = 'pending' and d.id <> ${one.id}::uuid
      )
      select id from mine`
  )
}

/** The type of the message that `:test` sends. Its outcome says nothing about the endpoint's health. */
export const testType = "test"
