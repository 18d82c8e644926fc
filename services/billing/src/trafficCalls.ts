/**
 * Traffic as edges tell it and as the gateway asks for it.
 *
 * Owns: what an edge may say. Leaves to `Traffic.ts`: counting and reading. An edge's batch that can't be right is refused with `invalid`:
 * the edge drops it, because it would never be right.
 */
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import {
  countTraffic,
  latencyBounds,
  readTraffic,
  statusClasses,
  type TrafficBatch,
  type TrafficRow
} from "@connect-domain/messages/traffic.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import { answer } from "./calls.ts"
import { Traffic } from "./Traffic.ts"

const maxRows = 5_000
const notFound = new CallError({ code: "not_found", message: "no such object" })
const invalid = (message: string) => Effect.fail(new CallError({ code: "invalid", message }))

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0
const areCounts = (list: ReadonlyArray<number>, length: number): boolean => list.length === length && list.every(isCount)
const isRow = ({ connection_id, bytes_in, bytes_out, statuses, latency }: TrafficRow): boolean =>
  isUuid(connection_id) &&
  isCount(bytes_in) &&
  isCount(bytes_out) &&
  areCounts(statuses, statusClasses.length) &&
  areCounts(latency, latencyBounds.length + 1)

const problem = ({ edge_id, boot_id, sequence, rows }: TrafficBatch): string | undefined => {
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(edge_id) || !isUuid(boot_id)) return "not an edge's id"
  if (!isCount(sequence) || rows.length > maxRows) return "not a batch"
  return rows.every(isRow) ? undefined : "a row is not one of traffic"
}

export const serveTraffic = Effect.gen(function* () {
  const calls = yield* Calls
  const traffic = yield* Traffic
  yield* calls.serve(countTraffic, (batch) => {
    const wrong = problem(batch)
    return wrong === undefined ? answer([], Effect.as(traffic.count(batch), {})) : invalid(wrong)
  })
  yield* calls.serve(readTraffic, (range) =>
    Number.isNaN(Date.parse(range.from)) || Number.isNaN(Date.parse(range.to))
      ? invalid("from and to must be times")
      : Effect.flatMap(answer([range.tenant_id, range.connection_id], traffic.read(range)), (points) =>
          points === undefined ? Effect.fail(notFound) : Effect.succeed({ points })
        )
  )
})
