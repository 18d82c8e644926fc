/**
 * Several batches as one for each hour, each day, each month: less to keep, the same sums.
 *
 * Owns: what may be added up. Built against: an outage of hours that grows the spool without end; the price is time's resolution, never a count.
 */
import type { TrafficRow } from "@connect-domain/messages/traffic.ts"

/** Counts of one moment, not numbered yet. */
export interface Counted {
  /** ISO 8601 */
  readonly at: string
  readonly rows: ReadonlyArray<TrafficRow>
}

const plus = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): Array<number> => a.map((one, at) => one + (b[at] ?? 0))

const addRow = (a: TrafficRow, b: TrafficRow): TrafficRow => ({
  connection_id: a.connection_id,
  bytes_in: a.bytes_in + b.bytes_in,
  bytes_out: a.bytes_out + b.bytes_out,
  statuses: plus(a.statuses, b.statuses),
  latency: plus(a.latency, b.latency)
})

/** How much of an ISO time names the hour, the day, the month. */
export const spans = [13, 10, 7] as const

/** One for each span, in order of time; each counts at the earliest moment of those that it is made of. */
export const mergeBatches = (batches: ReadonlyArray<Counted>, span: (typeof spans)[number]): Array<Counted> => {
  const bySpan = new Map<string, { at: string; rows: Map<string, TrafficRow> }>()
  for (const { at, rows } of batches) {
    const key = at.slice(0, span)
    const merged = bySpan.get(key) ?? { at, rows: new Map<string, TrafficRow>() }
    bySpan.set(key, merged)
    if (at < merged.at) merged.at = at
    for (const row of rows) {
      const known = merged.rows.get(row.connection_id)
      merged.rows.set(row.connection_id, known === undefined ? row : addRow(known, row))
    }
  }
  return [...bySpan.values()].map(({ at, rows }) => ({ at, rows: [...rows.values()] })).sort((a, b) => (a.at < b.at ? -1 : 1))
}
