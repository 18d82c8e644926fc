/** Requests counted and timed per route and status, for Prometheus. Metrics are made once per pair: making one costs more than using it. */
import { Effect, Metric } from "effect"

const total = Metric.counter("http_requests_total", { description: "API requests answered", incremental: true })
const seconds = Metric.histogram("http_request_seconds", {
  description: "Time from request to answer, seconds",
  boundaries: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 3, 8]
})

export const makeObserve = (): ((route: string, status: number, duration: number) => Effect.Effect<void>) => {
  const known = new Map<string, readonly [typeof total, typeof seconds]>()
  return (route, status, duration) => {
    const key = `${route} ${status}`
    let pair = known.get(key)
    if (pair === undefined) {
      pair = [Metric.withAttributes(total, { route, status: String(status) }), Metric.withAttributes(seconds, { route })] as never
      known.set(key, pair!)
    }
    return Effect.andThen(Metric.update(pair![0], 1), Metric.update(pair![1], duration))
  }
}
