/**
 * The events that integrators see: in webhooks, in `/v1/events` and on `cd.events.v1.<tenant>.<connection>.<type>`.
 *
 * Owns: their names and envelope. Leaves to libs/connection: when each happens.
 */
import { Schema } from "effect"
import { Environment } from "./connection.ts"
import { event } from "./definition.ts"

export const eventTypes = [
  "domain.added",
  "domain.verified",
  "ssl.issued",
  "domain.flow.completed",
  "domain.drift",
  "domain.recovered",
  "domain.stalled",
  "domain.failed",
  "domain.archived",
  "ssl.renewed",
  "ssl.failed"
] as const
export const EventType = Schema.Literals(eventTypes)
export type EventType = typeof EventType.Type

/** `sequence` counts per connection, so that a receiver can drop older ones. */
export const ConnectionEvent = Schema.Struct({
  id: Schema.String,
  type: EventType,
  tenant_id: Schema.String,
  application_id: Schema.String,
  connection_id: Schema.String,
  environment: Environment,
  sequence: Schema.Int,
  data: Schema.Record(Schema.String, Schema.Json),
  occurred_at: Schema.String
})
export type ConnectionEvent = typeof ConnectionEvent.Type

export const connectionEvent = event({
  subject: "cd.events.v1.{tenant_id}.{connection_id}.{type}",
  from: ["lifecycle"],
  to: ["webhooks", "billing", "gateway"],
  payload: ConnectionEvent
})
