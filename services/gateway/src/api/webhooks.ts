/** Webhook endpoints and what was delivered to them. */
import { DeliveryView, EndpointView, EndpointWithSecret } from "@connect-domain/messages/webhooks.ts"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Access, Creates, needs, Refusals } from "./Access.ts"
import { Id } from "./fields.ts"
import { pageOf, pageQuery } from "./page.ts"

const Endpoint = EndpointView.annotate({ identifier: "WebhookEndpoint" })
const WithSecret = EndpointWithSecret.annotate({ identifier: "WebhookEndpointWithSecret" })
const Delivery = DeliveryView.annotate({ identifier: "WebhookDelivery" })
/** Empty means all. */
const Events = Schema.Array(Schema.String)

export const NewEndpoint = Schema.Struct({
  /** Without it the endpoint covers the tenant. */
  application_id: Schema.optionalKey(Schema.NullOr(Schema.String)),
  url: Schema.NonEmptyString.check(Schema.isMaxLength(2048)),
  events: Schema.optionalKey(Events)
}).annotate({ identifier: "NewWebhookEndpoint" })

const EndpointChange = Schema.Struct({
  url: Schema.optionalKey(NewEndpoint.fields.url),
  events: Schema.optionalKey(Events),
  active: Schema.optionalKey(Schema.Boolean)
}).annotate({ identifier: "WebhookEndpointChange" })

const access = needs("webhooks:write", "apps:admin")
const params = { id: Id }
const NoBody = Schema.Struct({}).annotate({ identifier: "NoBody" })

export class WebhooksApi extends HttpApiGroup.make("webhooks", { topLevel: true }).add(
  HttpApiEndpoint.post("createWebhookEndpoint", "/v1/webhook-endpoints", {
    payload: NewEndpoint,
    success: WithSecret.pipe(HttpApiSchema.status(201))
  })
    .annotate(Access, access)
    .annotate(Creates, "elsewhere"),
  HttpApiEndpoint.get("listWebhookEndpoints", "/v1/webhook-endpoints", { query: pageQuery, success: pageOf(Endpoint) }).annotate(
    Access,
    access
  ),
  HttpApiEndpoint.get("readWebhookEndpoint", "/v1/webhook-endpoints/:id", { params, success: Endpoint }).annotate(Access, access),
  HttpApiEndpoint.patch("updateWebhookEndpoint", "/v1/webhook-endpoints/:id", {
    params,
    payload: EndpointChange,
    success: Endpoint
  }).annotate(Access, access),
  HttpApiEndpoint.delete("deleteWebhookEndpoint", "/v1/webhook-endpoints/:id", { params, success: HttpApiSchema.NoContent }).annotate(
    Access,
    access
  ),
  HttpApiEndpoint.post("rotateWebhookSecret", "/v1/webhook-endpoints/:id:rotate-secret", {
    params,
    payload: Schema.Struct({ revoke: Schema.optionalKey(Schema.Boolean) }).annotate({ identifier: "SecretRotation" }),
    success: WithSecret
  })
    .annotate(Access, access)
    .annotate(Refusals, ["rotation_in_progress"]),
  HttpApiEndpoint.post("testWebhookEndpoint", "/v1/webhook-endpoints/:id:test", { params, payload: NoBody, success: Delivery }).annotate(
    Access,
    access
  ),
  HttpApiEndpoint.get("listWebhookDeliveries", "/v1/webhook-deliveries", {
    query: {
      endpoint_id: Schema.optionalKey(Schema.String),
      event_id: Schema.optionalKey(Schema.String),
      status: Schema.optionalKey(DeliveryView.fields.status),
      ...pageQuery
    },
    success: pageOf(Delivery)
  }).annotate(Access, access),
  HttpApiEndpoint.post("replayWebhookDelivery", "/v1/webhook-deliveries/:id/replay", {
    params,
    payload: NoBody,
    success: Delivery
  }).annotate(Access, access)
) {}
