/**
 * A connection's traffic: billing's, asked for this tenant.
 *
 * Owns: the range that a question may have. Leaves to `readConnections.ts`: whose connection it is, so that a foreign id answers as
 * everywhere; to billing: the counts.
 */
import { Database } from "@connect-domain/database/Database.ts"
import { latencyBounds, readTraffic } from "@connect-domain/messages/traffic.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import type { TrafficApi } from "../api/traffic.ts"
import { readConnection } from "../connections/readConnections.ts"
import { invalid } from "../http/ApiError.ts"
import type { Handlers } from "../http/Endpoint.ts"

const dayMillis = 86_400_000
/** Days that one answer may span, and spans when the caller does not say. */
const spans = { hour: { millis: dayMillis / 24, most: 31, usual: 1 }, day: { millis: dayMillis, most: 400, usual: 30 } } as const

interface Asked {
  readonly from?: string
  readonly to?: string
  readonly step?: "hour" | "day"
}

/** `from` begins its step: an hour or day that is asked for is answered whole. */
const rangeOf = (query: Asked, now: number) => {
  const step = query.step ?? "hour"
  const { millis, most, usual } = spans[step]
  const to = query.to === undefined ? now : Date.parse(query.to)
  const asked = query.from === undefined ? to - usual * dayMillis : Date.parse(query.from)
  const from = Math.floor(asked / millis) * millis
  if (asked >= to) return invalid({ field: "from", message: "must be before to" })
  if (to - asked > most * dayMillis) return invalid({ field: "from", message: `must be at most ${most} days before to for step=${step}` })
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString(), step }
}

export const trafficHandlers = Effect.gen(function* () {
  const database = yield* Database
  const calls = yield* Calls
  const handlers: Handlers<typeof TrafficApi> = {
    readTraffic: ({ caller, params, query }) =>
      Effect.gen(function* () {
        const { id } = yield* readConnection(database, caller, params.id)
        const range = rangeOf(query, Date.now())
        if ("code" in range) return yield* range
        const { points } = yield* calls.request(readTraffic, { tenant_id: caller.tenant_id, connection_id: id, ...range })
        const sum = (field: "requests" | "bytes_in" | "bytes_out") => points.reduce((total, point) => total + point[field], 0)
        const totals = { requests: sum("requests"), bytes_in: sum("bytes_in"), bytes_out: sum("bytes_out") }
        return { connection_id: id, ...range, totals, latency_bounds_ms: latencyBounds, data: points }
      })
  }
  return handlers
})
