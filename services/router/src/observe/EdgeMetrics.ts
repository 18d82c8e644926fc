/**
 * Counts what the edge does.
 *
 * Owns: names, labels, buckets. Every label has a small fixed set of values: no hostname, tenant or path ever becomes one (unbounded cardinality
 * would end the metrics store, and an attacker chooses the names). Leaves to `AccessLog.ts`: the single request; to
 * `publishMetrics.ts`: the way to Prometheus, so that a request costs a few additions.
 */
import type { Observer, RequestRecord } from "./RequestRecord.ts"

const latencyBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const maxCodes = 128

/** A value that is read when the metrics are asked for. */
export interface Gauge {
  readonly name: string
  readonly help: string
  readonly type: "gauge" | "counter"
  readonly read: () => number | ReadonlyMap<string, number>
  /** Label of the map's keys. */
  readonly label?: string
}

/** One value of one series. */
export interface Sample {
  readonly name: string
  readonly help: string
  readonly type: "gauge" | "counter"
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export class EdgeMetrics implements Observer {
  inFlight = 0
  /** Tunnels that are open. */
  tunnels = 0
  onRecord: (record: RequestRecord) => void = () => {}
  onTunnelMoved: Observer["tunnelMoved"] = () => {}
  onTunnelClosed: (record: RequestRecord) => void = () => {}
  /** By protocol, then by class of status; 0: none. */
  private readonly requests = new Map<string, Float64Array>()
  private readonly codes = new Map<string, number>()
  private readonly connections = new Map<string, number>()
  private readonly http2Errors = new Map<string, number>()
  private readonly buckets = new Float64Array(latencyBounds.length + 1)
  private latencySum = 0
  private latencyCount = 0
  private bytesIn = 0
  private bytesOut = 0
  private readonly gauges: Array<Gauge> = []

  add(...gauges: ReadonlyArray<Gauge>): void {
    this.gauges.push(...gauges)
  }

  connectionOpened(protocol: string): void {
    this.connections.set(protocol, (this.connections.get(protocol) ?? 0) + 1)
  }

  connectionClosed(protocol: string): void {
    this.connections.set(protocol, (this.connections.get(protocol) ?? 0) - 1)
  }

  http2Failed(code: string): void {
    this.http2Errors.set(code, (this.http2Errors.get(code) ?? 0) + 1)
  }

  requestStarted(): void {
    this.inFlight++
  }

  requestDone(record: RequestRecord): void {
    this.inFlight--
    const requests = this.requests.get(record.protocol) ?? new Float64Array(6)
    if (requests[Math.floor(record.status / 100)]!++ === 0) this.requests.set(record.protocol, requests)
    if (record.code !== "") this.countCode(record.code)
    const seconds = record.millis / 1000
    let at = 0
    while (at < latencyBounds.length && seconds > latencyBounds[at]!) at++
    this.buckets[at]!++
    this.latencySum += seconds
    this.latencyCount++
    this.bytesIn += record.bytesIn
    this.bytesOut += record.bytesOut
    if (record.tunnel) this.tunnels++
    this.onRecord(record)
  }

  tunnelMoved(connectionId: string, bytesIn: number, bytesOut: number): void {
    this.bytesIn += bytesIn
    this.bytesOut += bytesOut
    this.onTunnelMoved(connectionId, bytesIn, bytesOut)
  }

  tunnelClosed(record: RequestRecord): void {
    this.tunnels--
    this.onTunnelClosed(record)
  }

  /** Codes are ours, so there are few; the bound holds even if one were made from a peer's text. */
  private countCode(code: string): void {
    const name = this.codes.has(code) || this.codes.size < maxCodes ? code : "other"
    this.codes.set(name, (this.codes.get(name) ?? 0) + 1)
  }

  private latency(): Array<Sample> {
    let total = 0
    const bucket = (le: string, value: number): Sample => ({
      ...family.latency,
      name: "edge_request_seconds_bucket",
      labels: { le },
      value
    })
    const samples = latencyBounds.map((bound, at) => {
      total += this.buckets[at]!
      return bucket(String(bound), total)
    })
    samples.push(bucket("+Inf", this.latencyCount))
    samples.push({ ...family.latency, name: "edge_request_seconds_sum", labels: {}, value: this.latencySum })
    return [...samples, { ...family.latency, name: "edge_request_seconds_count", labels: {}, value: this.latencyCount }]
  }

  /** Everything as it stands now. */
  samples(): Array<Sample> {
    const each = (kind: Omit<Sample, "labels" | "value">, label: string, values: ReadonlyMap<string, number>): Array<Sample> =>
      [...values].map(([key, value]) => ({ ...kind, labels: { [label]: key }, value }))
    const requests = [...this.requests].flatMap(([protocol, counts]) =>
      [...counts].flatMap((value, at) =>
        value === 0 ? [] : [{ ...family.requests, labels: { protocol, status: at === 0 ? "none" : `${at}xx` }, value }]
      )
    )
    return [
      ...requests,
      ...each(family.answers, "code", this.codes),
      ...each(family.connections, "protocol", this.connections),
      ...each(family.http2Errors, "code", this.http2Errors),
      { ...family.inFlight, labels: {}, value: this.inFlight },
      { ...family.tunnels, labels: {}, value: this.tunnels },
      { ...family.bytes, labels: { direction: "in" }, value: this.bytesIn },
      { ...family.bytes, labels: { direction: "out" }, value: this.bytesOut },
      ...this.latency(),
      ...this.gauges.flatMap(({ read, label, ...kind }) => {
        const value = read()
        return typeof value === "number" ? [{ ...kind, labels: {}, value }] : each(kind, label ?? "kind", value)
      })
    ]
  }
}

const family = {
  requests: { name: "edge_requests_total", help: "Requests by protocol and class of status.", type: "counter" },
  answers: { name: "edge_answers_total", help: "Answers of the edge's own, by reason.", type: "counter" },
  connections: { name: "edge_connections", help: "Open client connections.", type: "gauge" },
  http2Errors: { name: "edge_http2_errors_total", help: "HTTP/2 connections ended by an error, by its code.", type: "counter" },
  inFlight: { name: "edge_requests_in_flight", help: "Requests being answered.", type: "gauge" },
  tunnels: { name: "edge_tunnels", help: "Open tunnels (WebSocket).", type: "gauge" },
  bytes: { name: "edge_body_bytes_total", help: "Bytes of bodies and inside tunnels.", type: "counter" },
  latency: { help: "Seconds from a request's head to the end of its answer.", type: "counter" }
} as const
