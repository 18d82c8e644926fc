/**
 * What was served since the last interval, by connection.
 *
 * Owns: counting a request exactly, in a few additions. Leaves to `TrafficSpool.ts`: what becomes of the counts. Its memory is a few hundred bytes for
 * each connection that was asked for in an interval; names that we don't hold count nowhere, so nobody can make it grow.
 */
import { latencyBounds, statusClasses, type TrafficRow } from "@connect-domain/messages/traffic.ts"
import type { RequestRecord } from "../observe/RequestRecord.ts"

const [bytesIn, bytesOut, statuses, latency] = [0, 1, 2, 2 + statusClasses.length]
const size = latency + latencyBounds.length + 1
const none = statusClasses.length - 1

const classOf = (status: number): number => (status >= 100 && status < 600 ? Math.floor(status / 100) - 1 : none)

const bucketOf = (millis: number): number => {
  let at = 0
  while (at < latencyBounds.length && millis > latencyBounds[at]!) at++
  return at
}

export class TrafficCounters {
  private counts = new Map<string, Float64Array>()

  count(record: Pick<RequestRecord, "connectionId" | "status" | "bytesIn" | "bytesOut" | "millis">): void {
    if (record.connectionId === "") return
    const counts = this.add(record.connectionId, record.bytesIn, record.bytesOut)
    counts[statuses + classOf(record.status)]!++
    counts[latency + bucketOf(record.millis)]!++
  }

  /** Bytes alone: of a request that was counted before (a tunnel). */
  add(connectionId: string, received: number, sent: number): Float64Array {
    let counts = this.counts.get(connectionId)
    if (counts === undefined) {
      counts = new Float64Array(size)
      this.counts.set(connectionId, counts)
    }
    counts[bytesIn]! += received
    counts[bytesOut]! += sent
    return counts
  }

  /** Everything since the last call. */
  take(): Array<TrafficRow> {
    const { counts } = this
    this.counts = new Map()
    return [...counts].map(([connection_id, all]) => ({
      connection_id,
      bytes_in: all[bytesIn]!,
      bytes_out: all[bytesOut]!,
      statuses: [...all.subarray(statuses, latency)],
      latency: [...all.subarray(latency)]
    }))
  }
}
