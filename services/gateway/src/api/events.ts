/** Events: the history of one connection (also live, as server-sent events) and the tenant's durable log. */
import { EventType } from "@connect-domain/messages/events.ts"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Access, needs, needsOrWidget } from "./Access.ts"
import { Environment, Id } from "./fields.ts"
import { Limit, pageOf, pageQuery } from "./page.ts"

export const Event = Schema.Struct({
  id: Schema.String,
  type: EventType,
  /** The connection's id, under the name that webhooks use. */
  jobId: Schema.String,
  application_id: Schema.String,
  environment: Environment,
  data: Schema.Record(Schema.String, Schema.Json),
  /** Counts per connection. */
  sequence: Schema.Int,
  occurred_at: Schema.String
}).annotate({ identifier: "Event" })

export class EventsApi extends HttpApiGroup.make("events", { topLevel: true }).add(
  HttpApiEndpoint.get("listConnectionEvents", "/v1/connections/:id/events", {
    params: { id: Id },
    query: pageQuery,
    success: [pageOf(Event), Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/event-stream" }))]
  }).annotate(Access, needsOrWidget("connections:read")),
  HttpApiEndpoint.get("listEvents", "/v1/events", {
    /** `after` is an event's id; the answer's `next_cursor` is the id to go on after, or null at the end of the log. */
    query: { after: Schema.optionalKey(Schema.String), limit: Limit },
    success: pageOf(Event)
  }).annotate(Access, needs("connections:read"))
) {}
