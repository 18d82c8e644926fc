/** What the edges served for a connection: requests, bytes, classes of status and latency, by hour or by day (UTC). */
import { TrafficPoint, TrafficStep, TrafficSums } from "@connect-domain/messages/traffic.ts"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Access, needs } from "./Access.ts"
import { Id, Time } from "./fields.ts"

export const ConnectionTraffic = Schema.Struct({
  connection_id: Schema.String,
  from: Schema.String,
  to: Schema.String,
  step: TrafficStep,
  /** Of the whole answer. */
  totals: TrafficSums,
  /** Upper bounds of the buckets of `latency` in milliseconds; its last element counts what took longer. */
  latency_bounds_ms: Schema.Array(Schema.Int),
  /** In order of time; steps without traffic are left out. */
  data: Schema.Array(TrafficPoint.annotate({ identifier: "TrafficPoint" }))
}).annotate({ identifier: "ConnectionTraffic" })

export class TrafficApi extends HttpApiGroup.make("traffic", { topLevel: true }).add(
  HttpApiEndpoint.get("readTraffic", "/v1/connections/:id/traffic", {
    params: { id: Id },
    query: {
      /** Default: a day (step `hour`) or 30 days (step `day`) before `to`. */
      from: Schema.optionalKey(Time),
      /** Default: now. */
      to: Schema.optionalKey(Time),
      /** Default `hour`. */
      step: Schema.optionalKey(TrafficStep)
    },
    success: ConnectionTraffic
  }).annotate(Access, needs("connections:read"))
) {}
