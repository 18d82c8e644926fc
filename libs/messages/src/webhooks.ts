/** What the webhooks service is asked: endpoints, deliveries, replays. All are scoped to a tenant; a foreign id is `not_found`. */
import { Schema } from "effect"
import { call } from "./definition.ts"

export const EndpointView = Schema.Struct({
  id: Schema.String,
  application_id: Schema.NullOr(Schema.String),
  url: Schema.String,
  /** Empty means all. */
  events: Schema.Array(Schema.String),
  active: Schema.Boolean,
  created_at: Schema.String
})
export type EndpointView = typeof EndpointView.Type
/** Shown once: at creation and at rotation. */
export const EndpointWithSecret = Schema.Struct({ ...EndpointView.fields, signing_secret: Schema.String })

const one = { tenant_id: Schema.String, endpoint_id: Schema.String }
const page = { tenant_id: Schema.String, after: Schema.NullOr(Schema.String), limit: Schema.Int }

/** Error: `invalid` with details naming `url` (scheme, denied address) or `events`. Idempotent by `endpoint_id`. */
export const createEndpoint = call({
  subject: "cd.call.v1.webhooks.create-endpoint",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct({
    ...one,
    application_id: Schema.NullOr(Schema.String),
    url: Schema.String,
    events: Schema.Array(Schema.String)
  }),
  success: EndpointWithSecret
})
/** Newest first; `after` is the last id of the page before. */
export const listEndpoints = call({
  subject: "cd.call.v1.webhooks.list-endpoints",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct(page),
  success: Schema.Struct({ data: Schema.Array(EndpointView), more: Schema.Boolean })
})
export const readEndpoint = call({
  subject: "cd.call.v1.webhooks.read-endpoint",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct(one),
  success: EndpointView
})
export const updateEndpoint = call({
  subject: "cd.call.v1.webhooks.update-endpoint",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct({
    ...one,
    url: Schema.optionalKey(Schema.String),
    events: Schema.optionalKey(Schema.Array(Schema.String)),
    active: Schema.optionalKey(Schema.Boolean)
  }),
  success: EndpointView
})
/** Idempotent. */
export const deleteEndpoint = call({
  subject: "cd.call.v1.webhooks.delete-endpoint",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct(one),
  success: Schema.Struct({})
})
/** Error: `rotation_in_progress` while two secrets live; `revoke` ends the old one at once. */
export const rotateSecret = call({
  subject: "cd.call.v1.webhooks.rotate-secret",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct({ ...one, revoke: Schema.Boolean }),
  success: EndpointWithSecret
})

export const Attempt = Schema.Struct({
  at: Schema.String,
  status: Schema.NullOr(Schema.Int),
  duration_ms: Schema.Int,
  error: Schema.NullOr(Schema.String)
})
export const DeliveryView = Schema.Struct({
  id: Schema.String,
  event_id: Schema.String,
  endpoint_id: Schema.String,
  status: Schema.Literals(["pending", "delivered", "failed", "cancelled"]),
  attempts: Schema.Array(Attempt),
  next_retry_at: Schema.NullOr(Schema.String)
})
export type DeliveryView = typeof DeliveryView.Type

/** Sends one signed `test` message now and answers what came back. */
export const testEndpoint = call({
  subject: "cd.call.v1.webhooks.test-endpoint",
  from: ["gateway"],
  to: "webhooks",
  timeoutMillis: 8_000,
  payload: Schema.Struct(one),
  success: DeliveryView
})
export const listDeliveries = call({
  subject: "cd.call.v1.webhooks.list-deliveries",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct({
    ...page,
    endpoint_id: Schema.NullOr(Schema.String),
    event_id: Schema.NullOr(Schema.String),
    status: Schema.NullOr(Schema.String)
  }),
  success: Schema.Struct({ data: Schema.Array(DeliveryView), more: Schema.Boolean })
})
/** Due at once, same event id. */
export const replayDelivery = call({
  subject: "cd.call.v1.webhooks.replay-delivery",
  from: ["gateway"],
  to: "webhooks",
  payload: Schema.Struct({ tenant_id: Schema.String, delivery_id: Schema.String }),
  success: DeliveryView
})
