/**
 * The webhooks service, played for the gateway's tests: endpoints in memory, each tenant's own.
 *
 * Owns: answers that are right in form; nothing is ever delivered. Leaves to the test: refusals, through the switch `refuse`.
 */
import * as webhooks from "@connect-domain/messages/webhooks.ts"
import { Effect } from "effect"
import { notFound, type StandIns, switched } from "./switched.ts"

export const serveWebhooks = (state: StandIns) =>
  Effect.gen(function* () {
    const serve = yield* switched(state)
    const endpoints = new Map<string, webhooks.EndpointView & { readonly tenant_id: string }>()
    const find = (tenant: string, id: string) => {
      const found = endpoints.get(id)
      return found === undefined || found.tenant_id !== tenant ? Effect.fail(notFound) : Effect.succeed(found)
    }
    const delivery = (id: string): webhooks.DeliveryView => ({
      id,
      event_id: id,
      endpoint_id: id,
      status: "delivered",
      attempts: [],
      next_retry_at: null
    })
    yield* serve(webhooks.createEndpoint, ({ tenant_id, endpoint_id, application_id, url, events }) => {
      const endpoint = { id: endpoint_id, tenant_id, application_id, url, events, active: true, created_at: new Date().toISOString() }
      endpoints.set(endpoint_id, endpoint)
      return Effect.succeed({ ...endpoint, signing_secret: "whsec_c2VjcmV0" })
    })
    yield* serve(webhooks.listEndpoints, ({ tenant_id }) =>
      Effect.sync(() => ({ data: [...endpoints.values()].filter((endpoint) => endpoint.tenant_id === tenant_id), more: false }))
    )
    yield* serve(webhooks.readEndpoint, ({ tenant_id, endpoint_id }) => find(tenant_id, endpoint_id))
    yield* serve(webhooks.updateEndpoint, ({ tenant_id, endpoint_id, ...change }) =>
      Effect.map(find(tenant_id, endpoint_id), (endpoint) => ({ ...endpoint, ...change }))
    )
    yield* serve(webhooks.deleteEndpoint, ({ tenant_id, endpoint_id }) =>
      Effect.sync(() => {
        if (endpoints.get(endpoint_id)?.tenant_id === tenant_id) endpoints.delete(endpoint_id)
        return {}
      })
    )
    yield* serve(webhooks.rotateSecret, ({ tenant_id, endpoint_id }) =>
      Effect.map(find(tenant_id, endpoint_id), (endpoint) => ({ ...endpoint, signing_secret: "whsec_bmV3" }))
    )
    yield* serve(webhooks.testEndpoint, ({ tenant_id, endpoint_id }) =>
      Effect.map(find(tenant_id, endpoint_id), () => delivery(endpoint_id))
    )
    yield* serve(webhooks.listDeliveries, () => Effect.succeed({ data: [], more: false }))
    yield* serve(webhooks.replayDelivery, () => Effect.fail(notFound))
  })
