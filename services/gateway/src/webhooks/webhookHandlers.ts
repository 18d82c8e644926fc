/** Webhook endpoints and deliveries: the webhooks service's, asked for this tenant. */
import { Database } from "@connect-domain/database/Database.ts"
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import {
  createEndpoint,
  deleteEndpoint,
  listDeliveries,
  listEndpoints,
  readEndpoint,
  replayDelivery,
  rotateSecret,
  testEndpoint,
  updateEndpoint
} from "@connect-domain/messages/webhooks.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import type { WebhooksApi } from "../api/webhooks.ts"
import { readApplication } from "../applications/readApplication.ts"
import type { Caller } from "../auth/Caller.ts"
import type { Handlers } from "../http/Endpoint.ts"
import { Settings } from "../Settings.ts"

export const webhookHandlers = Effect.gen(function* () {
  const database = yield* Database
  const calls = yield* Calls
  const settings = yield* Settings
  const one = (caller: Caller, id: string) => ({ tenant_id: caller.tenant_id, endpoint_id: id })
  /** The service pages by the last id; callers get it as a cursor. */
  const pageWith = <A extends { readonly id: string }>(
    tenantId: string,
    list: string,
    page: { data: ReadonlyArray<A>; more: boolean }
  ) => ({
    data: page.data,
    next_cursor: page.more && page.data.length > 0 ? settings.cursors.write(tenantId, list, page.data.at(-1)!.id) : null
  })
  const handlers: Handlers<typeof WebhooksApi> = {
    createWebhookEndpoint: ({ caller, body, plannedId }) =>
      Effect.gen(function* () {
        const application_id = body.application_id ?? null
        if (application_id !== null) yield* readApplication(database, caller.tenant_id, application_id)
        return yield* calls.request(createEndpoint, { ...one(caller, plannedId), application_id, url: body.url, events: body.events ?? [] })
      }),
    listWebhookEndpoints: ({ caller, query }) =>
      Effect.gen(function* () {
        const after = (yield* settings.cursors.read(caller.tenant_id, "webhook-endpoints", query.cursor)) ?? null
        const page = yield* calls.request(listEndpoints, { tenant_id: caller.tenant_id, after, limit: query.limit })
        return pageWith(caller.tenant_id, "webhook-endpoints", page)
      }),
    readWebhookEndpoint: ({ caller, params }) => calls.request(readEndpoint, one(caller, params.id)),
    updateWebhookEndpoint: ({ caller, params, body }) => calls.request(updateEndpoint, { ...one(caller, params.id), ...body }),
    deleteWebhookEndpoint: ({ caller, params }) =>
      calls.request(readEndpoint, one(caller, params.id)).pipe(
        Effect.andThen(bury(database, caller.tenant_id, params.id)),
        Effect.andThen(calls.request(deleteEndpoint, one(caller, params.id))),
        Effect.asVoid,
        Effect.catchTag("CallError", (error) =>
          error.code !== "not_found"
            ? Effect.fail(error)
            : Effect.flatMap(isBuried(database, caller.tenant_id, params.id), (buried) => (buried ? Effect.void : Effect.fail(error)))
        )
      ),
    rotateWebhookSecret: ({ caller, params, body }) =>
      calls.request(rotateSecret, { ...one(caller, params.id), revoke: body.revoke ?? false }),
    testWebhookEndpoint: ({ caller, params }) => calls.request(testEndpoint, one(caller, params.id)),
    listWebhookDeliveries: ({ caller, query }) =>
      Effect.gen(function* () {
        const { endpoint_id = null, event_id = null, status = null } = query
        const after = (yield* settings.cursors.read(caller.tenant_id, "webhook-deliveries", query.cursor)) ?? null
        if ([endpoint_id, event_id].some((id) => id !== null && !isUuid(id))) return { data: [], next_cursor: null }
        const filter = { endpoint_id, event_id, status }
        const page = yield* calls.request(listDeliveries, { tenant_id: caller.tenant_id, after, limit: query.limit, ...filter })
        return pageWith(caller.tenant_id, "webhook-deliveries", page)
      }),
    replayWebhookDelivery: ({ caller, params }) => calls.request(replayDelivery, { tenant_id: caller.tenant_id, delivery_id: params.id })
  }
  return handlers
})

/** Noted before the deletion: a crash in between leaves an endpoint that the next DELETE finds again. */
const bury = (database: Database["Service"], tenantId: string, id: string) =>
  database.query((sql) => sql`insert into gateway.tombstones (tenant_id, object_id) values (${tenantId}, ${id}) on conflict do nothing`)

const isBuried = (database: Database["Service"], tenantId: string, id: string) =>
  Effect.map(
    database.query((sql) => sql`select 1 as found from gateway.tombstones where tenant_id = ${tenantId} and object_id = ${id}`),
    (rows) => rows.length > 0
  )
