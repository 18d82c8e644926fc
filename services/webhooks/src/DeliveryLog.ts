/**
 * Deliveries as their tenant sees them: every attempt kept, each one replayable.
 *
 * Owns: lists, replay, the row of a test message. Leaves sending to `Dispatcher.ts` and `deliver.ts`.
 */
import { randomUUID } from "node:crypto"
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import type { DeliveryView } from "@connect-domain/messages/webhooks.ts"
import { Context, Effect, Layer, Schema } from "effect"
import { type Claim, leaseSeconds, testType } from "./Deliveries.ts"
import { EndpointNotFound, type Page } from "./Endpoints.ts"
import { gaps } from "./retrySchedule.ts"

export class DeliveryNotFound extends Schema.TaggedError<DeliveryNotFound>()("DeliveryNotFound", {}) {
  override get message() {
    return "no such webhook delivery"
  }
}

/** The endpoint is switched off: nothing can be sent to it. */
export class EndpointOff extends Schema.TaggedError<EndpointOff>()("EndpointOff", {}) {
  override get message() {
    return "the endpoint is switched off: switch it on first (PATCH, active: true)"
  }
}

export interface DeliveryFilter extends Page {
  readonly endpoint_id: string | null
  readonly event_id: string | null
  readonly status: string | null
}

interface Row {
  readonly id: string
  readonly event_id: string
  readonly endpoint_id: string
  readonly status: DeliveryView["status"]
  readonly next_attempt_at: Date | null
  readonly tried: ReadonlyArray<{
    readonly at: string
    readonly status: number | null
    readonly duration_ms: number
    readonly error: string | null
  }>
}

const view = (row: Row): DeliveryView => ({
  id: row.id,
  event_id: row.event_id,
  endpoint_id: row.endpoint_id,
  status: row.status,
  attempts: row.tried.map((attempt) => ({ ...attempt, at: new Date(attempt.at).toISOString() })),
  next_retry_at: row.status === "pending" ? (row.next_attempt_at?.toISOString() ?? null) : null
})

export class DeliveryLog extends Context.Service<
  DeliveryLog,
  {
    /** Newest first. */
    readonly list: (
      tenant: string,
      filter: DeliveryFilter
    ) => Effect.Effect<{ readonly data: ReadonlyArray<DeliveryView>; readonly more: boolean }, DatabaseError>
    readonly read: (tenant: string, id: string) => Effect.Effect<DeliveryView, DeliveryNotFound | DatabaseError>
    /** Due at once, from the schedule's beginning, under the same event id. Answers the endpoint to wake. */
    readonly replay: (tenant: string, id: string) => Effect.Effect<string, DeliveryNotFound | EndpointOff | DatabaseError>
    /** A claim for one test message, without retries. Also to an endpoint that is switched off: that is when one wants to know. */
    readonly claimTest: (tenant: string, endpoint: string) => Effect.Effect<Claim, EndpointNotFound | DatabaseError>
  }
>()("webhooks/DeliveryLog") {
  static readonly layer = Layer.effect(
    DeliveryLog,
    Effect.gen(function* () {
      const database = yield* Database

      const select = (tenant: string, filter: DeliveryFilter, id: string | null) =>
        database.query<Row>(
          (sql) => sql`
            select d.id, d.event_id, d.endpoint_id, d.status, d.next_attempt_at,
              (select coalesce(json_agg(json_build_object('at', a.started_at, 'status', a.status_code, 'duration_ms', a.latency_ms,
                 'error', a.error) order by a.attempt), '[]') from webhooks.attempts a where a.delivery_id = d.id) as tried
            from webhooks.deliveries d
            where d.tenant_id = ${tenant}::uuid
              ${id === null ? sql`` : sql`and d.id = ${id}::uuid`}
              ${filter.endpoint_id === null ? sql`` : sql`and d.endpoint_id = ${filter.endpoint_id}::uuid`}
              ${filter.event_id === null ? sql`` : sql`and d.event_id = ${filter.event_id}::uuid`}
              ${filter.status === null ? sql`` : sql`and d.status = ${filter.status}`}
              ${
                filter.after === null
                  ? sql``
                  : sql`and (d.created_at, d.id) < (select created_at, id from webhooks.deliveries
                                                    where id = ${filter.after}::uuid and tenant_id = ${tenant}::uuid)`
              }
            order by d.created_at desc, d.id desc limit ${filter.limit + 1}`
        )

      const list = Effect.fn("DeliveryLog.list")(function* (tenant: string, filter: DeliveryFilter) {
        const rows = yield* select(tenant, filter, null)
        return { data: rows.slice(0, filter.limit).map(view), more: rows.length > filter.limit }
      })

      const read = Effect.fn("DeliveryLog.read")(function* (tenant: string, id: string) {
        const [row] = yield* select(tenant, { endpoint_id: null, event_id: null, status: null, after: null, limit: 1 }, id)
        return row === undefined ? yield* new DeliveryNotFound() : view(row)
      })

      const replay = Effect.fn("DeliveryLog.replay")(function* (tenant: string, id: string) {
        const [row] = yield* database.query<{ endpoint_id: string; active: boolean }>(
          (sql) => sql`
            with found as (
              select d.id, d.endpoint_id, e.active from webhooks.deliveries d join webhooks.endpoints e on e.id = d.endpoint_id
              where d.id = ${id}::uuid and d.tenant_id = ${tenant}::uuid
            ), again as (
              update webhooks.deliveries d set status = 'pending', step = 0, next_attempt_at = now(), lease = d.lease + 1
              from found where d.id = found.id and found.active
            )
            select endpoint_id, active from found`
        )
        if (row === undefined) return yield* new DeliveryNotFound()
        return row.active ? row.endpoint_id : yield* new EndpointOff()
      })

      const claimTest = Effect.fn("DeliveryLog.claimTest")(function* (tenant: string, endpoint: string) {
        const [claim] = yield* database.query<Claim>(
          (sql) => sql`
            with owner as (select * from webhooks.endpoints where id = ${endpoint}::uuid and tenant_id = ${tenant}::uuid),
            made as (
              insert into webhooks.deliveries
                (id, tenant_id, endpoint_id, event_id, event_type, connection_id, sequence, data, step, lease, next_attempt_at)
              select ${randomUUID()}, tenant_id, id, ${uuidv7()}, ${testType}, ${nobody}, 0, ${sql.json(testData)}::jsonb, ${gaps.length}, 1,
                     now() + ${leaseSeconds} * interval '1 second'
              from owner returning *
            )
            select m.id, m.lease, m.tenant_id, m.endpoint_id, m.event_id, m.event_type, m.connection_id, m.sequence, m.data, m.step, o.url, o.failing_since is not null as failing,
              (select coalesce(json_agg(json_build_object('id', s.id, 'sealed', s.sealed) order by s.created_at), '[]')
               from webhooks.secrets s where s.endpoint_id = o.id and (s.expires_at is null or s.expires_at > now())) as secrets
            from made m, owner o`
        )
        return claim ?? (yield* new EndpointNotFound())
      })

      return DeliveryLog.of({ list, read, replay, claimTest })
    })
  )
}

/** The `jobId` of a test message: there is no connection behind it. */
const nobody = "00000000-0000-0000-0000-000000000000"
const testData = { hostname: "test.example.com" }
