/**
 * The addresses that vendors want their events at.
 *
 * Owns: creating, reading, changing and deleting them, always within one tenant. Leaves secrets to `Secrets.ts`, what an endpoint is owed
 * to `Deliveries.ts`, switching one off after failures to `Deliveries.ts` as well (it knows the results).
 */
import { Database, type DatabaseError } from "@connect-domain/database/Database.ts"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import type { EndpointView } from "@connect-domain/messages/webhooks.ts"
import { Context, Effect, Layer, Schema } from "effect"
import { eventsProblem, urlProblem } from "./endpointRules.ts"
import { type RotationInProgress, Secrets } from "./Secrets.ts"

/** No such endpoint within this tenant. */
export class EndpointNotFound extends Schema.TaggedError<EndpointNotFound>()("EndpointNotFound", {}) {
  override get message() {
    return "no such webhook endpoint"
  }
}

export class InvalidEndpoint extends Schema.TaggedError<InvalidEndpoint>()("InvalidEndpoint", {
  field: Schema.Literals(["url", "events"]),
  problem: Schema.String
}) {
  override get message() {
    return `${this.field} ${this.problem}`
  }
}

export interface NewEndpoint {
  readonly id: string
  readonly tenant_id: string
  readonly application_id: string | null
  readonly url: string
  readonly events: ReadonlyArray<string>
}

export interface EndpointChange {
  readonly url?: string
  readonly events?: ReadonlyArray<string>
  readonly active?: boolean
}

export interface Page {
  readonly after: string | null
  readonly limit: number
}

export type EndpointWithSecret = EndpointView & { readonly signing_secret: string }

interface Row extends Omit<EndpointView, "created_at"> {
  readonly created_at: Date
}
const view = (row: Row): EndpointView => ({
  id: row.id,
  application_id: row.application_id,
  url: row.url,
  events: row.events,
  active: row.active,
  created_at: row.created_at.toISOString()
})

export class Endpoints extends Context.Service<
  Endpoints,
  {
    /** Idempotent by id: the same again answers the same, its secret included. */
    readonly create: (endpoint: NewEndpoint) => Effect.Effect<EndpointWithSecret, InvalidEndpoint | EndpointNotFound | DatabaseError>
    /** Newest first. */
    readonly list: (
      tenant: string,
      page: Page
    ) => Effect.Effect<{ readonly data: ReadonlyArray<EndpointView>; readonly more: boolean }, DatabaseError>
    readonly read: (tenant: string, id: string) => Effect.Effect<EndpointView, EndpointNotFound | DatabaseError>
    /** Switching off cancels what is pending; switching on starts with the next event. */
    readonly update: (
      tenant: string,
      id: string,
      change: EndpointChange
    ) => Effect.Effect<EndpointView, InvalidEndpoint | EndpointNotFound | DatabaseError>
    /** Idempotent; its deliveries go with it. */
    readonly remove: (tenant: string, id: string) => Effect.Effect<void, DatabaseError>
    readonly rotate: (
      tenant: string,
      id: string,
      revoke: boolean
    ) => Effect.Effect<EndpointWithSecret, RotationInProgress | EndpointNotFound | DatabaseError>
  }
>()("webhooks/Endpoints") {
  static readonly layer = Layer.effect(
    Endpoints,
    Effect.gen(function* () {
      const database = yield* Database
      const secrets = yield* Secrets
      const policy = yield* addressPolicy
      const mode = yield* Mode

      const check = Effect.fnUntraced(function* (change: EndpointChange) {
        const url = change.url === undefined ? undefined : urlProblem(change.url, policy, mode)
        if (url !== undefined) return yield* new InvalidEndpoint({ field: "url", problem: url })
        const events = change.events === undefined ? undefined : eventsProblem(change.events)
        if (events !== undefined) return yield* new InvalidEndpoint({ field: "events", problem: events })
      })

      const find = Effect.fnUntraced(function* (tenant: string, id: string, lock = false) {
        const [row] = yield* database.query<Row>(
          (sql) =>
            sql`select * from webhooks.endpoints where id = ${id}::uuid and tenant_id = ${tenant}::uuid ${lock ? sql`for update` : sql``}`
        )
        return row ?? (yield* new EndpointNotFound())
      })

      const create = Effect.fn("Endpoints.create")(function* (endpoint: NewEndpoint) {
        yield* check(endpoint)
        return yield* database.transaction(
          Effect.gen(function* () {
            yield* database.query(
              (sql) => sql`insert into webhooks.endpoints (id, tenant_id, application_id, url, events)
                           values (${endpoint.id}::uuid, ${endpoint.tenant_id}::uuid, ${endpoint.application_id}::uuid, ${endpoint.url},
                                   ${[...endpoint.events]}::text[]) on conflict (id) do nothing`
            )
            const row = yield* find(endpoint.tenant_id, endpoint.id, true)
            return { ...view(row), signing_secret: yield* secrets.ensure(endpoint.tenant_id, endpoint.id) }
          })
        )
      })

      const list = Effect.fn("Endpoints.list")(function* (tenant: string, { after, limit }: Page) {
        const rows = yield* database.query<Row>(
          (sql) => sql`select * from webhooks.endpoints where tenant_id = ${tenant}::uuid
                       ${after === null ? sql`` : sql`and id < ${after}::uuid`} order by id desc limit ${limit + 1}`
        )
        return { data: rows.slice(0, limit).map(view), more: rows.length > limit }
      })

      const update = Effect.fn("Endpoints.update")(function* (tenant: string, id: string, change: EndpointChange) {
        yield* check(change)
        const on = change.active === true
        const [row] = yield* database.query<Row>(
          (sql) => sql`
            with changed as (
              update webhooks.endpoints set
                url = coalesce(${change.url ?? null}, url),
                events = coalesce(${change.events === undefined ? null : [...change.events]}::text[], events),
                active = coalesce(${change.active ?? null}::boolean, active),
                disabled_reason = case when ${on} then null else disabled_reason end,
                failing_since = case when ${on} or ${change.url !== undefined} then null else failing_since end,
                updated_at = now()
              where id = ${id}::uuid and tenant_id = ${tenant}::uuid returning *
            ), cancelled as (
              update webhooks.deliveries set status = 'cancelled', next_attempt_at = null, lease = lease + 1
              where status = 'pending' and endpoint_id in (select id from changed where not active)
            )
            select * from changed`
        )
        return view(row ?? (yield* new EndpointNotFound()))
      })

      return Endpoints.of({
        create,
        list,
        read: (tenant, id) => Effect.map(find(tenant, id), view),
        update,
        remove: (tenant, id) =>
          Effect.asVoid(
            database.query((sql) => sql`delete from webhooks.endpoints where id = ${id}::uuid and tenant_id = ${tenant}::uuid`)
          ),
        rotate: (tenant, id, revoke) =>
          database.transaction(
            Effect.gen(function* () {
              const row = yield* find(tenant, id, true)
              return { ...view(row), signing_secret: yield* secrets.rotate(tenant, id, revoke) }
            })
          )
      })
    })
  )
}
