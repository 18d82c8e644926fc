/**
 * What edges served, told to billing, and how it is read.
 *
 * Owns: the form of a batch, and the bounds of the latency buckets, which both sides share. A batch is a call and not queued work: the edge
 * keeps it on its disk until billing has answered that it is committed, so no queue in between can lose it.
 */
import { Schema } from "effect"
import { call } from "./definition.ts"

/** Upper bounds of the latency buckets in milliseconds; one more bucket holds what took longer. For ever: sums of years are made of them. */
export const latencyBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000] as const
/** Classes of status, in the order of `TrafficRow.statuses`; `none`: the client was gone before there was a status. */
export const statusClasses = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"] as const

const Count = Schema.Int
/** One connection's requests of a batch. Requests are the sum of `statuses`, and of `latency`. */
export const TrafficRow = Schema.Struct({
  connection_id: Schema.String,
  /** Bytes of bodies and inside tunnels, from and to clients. A row may have bytes and no request: a tunnel that was opened before. */
  bytes_in: Count,
  bytes_out: Count,
  statuses: Schema.Array(Count),
  latency: Schema.Array(Count)
})
export type TrafficRow = typeof TrafficRow.Type

/**
 * Counted once, by (edge_id, boot_id, sequence): batches of one boot are sent in the order of their sequence, the next one after the answer
 * to the one before, so a sequence that is not above the last counted one was counted. Every row counts in the hour of `at`.
 */
export const countTraffic = call({
  subject: "cd.call.v1.billing.count-traffic",
  from: ["router"],
  to: "billing",
  timeoutMillis: 10_000,
  payload: Schema.Struct({
    edge_id: Schema.String,
    /** Of the edge's process; unique for ever. */
    boot_id: Schema.String,
    sequence: Schema.Int,
    at: Schema.String,
    rows: Schema.Array(TrafficRow)
  }),
  success: Schema.Struct({})
})
export type TrafficBatch = typeof countTraffic.payload.Type

export const TrafficStep = Schema.Literals(["hour", "day"])
export const TrafficSums = Schema.Struct({ requests: Count, bytes_in: Count, bytes_out: Count })
export const TrafficPoint = Schema.Struct({
  /** The step's beginning, UTC. */
  at: Schema.String,
  ...TrafficSums.fields,
  statuses: Schema.Record(Schema.Literals(statusClasses), Count),
  /** As many as `latencyBounds`, and one more. */
  latency: Schema.Array(Count)
})

/** Steps that begin at or after `from` and before `to`, without those that had no traffic. Error: `not_found`, also for another tenant's. */
export const readTraffic = call({
  subject: "cd.call.v1.billing.traffic",
  from: ["gateway"],
  to: "billing",
  payload: Schema.Struct({
    tenant_id: Schema.String,
    connection_id: Schema.String,
    from: Schema.String,
    to: Schema.String,
    step: TrafficStep
  }),
  success: Schema.Struct({ points: Schema.Array(TrafficPoint) })
})
