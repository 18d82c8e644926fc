/**
 * Carries the edge's counts into the process's metrics, once a second.
 *
 * Owns: turning samples into Effect metrics, which libs/telemetry renders and exports. Leaves to `EdgeMetrics.ts`: counting.
 */
import { Effect, Metric, Schedule } from "effect"
import type { EdgeMetrics, Sample } from "./EdgeMetrics.ts"

const seriesOf = (sample: Sample) => `${sample.name} ${JSON.stringify(sample.labels)}`

/** Runs for ever. */
export const publishMetrics = (metrics: EdgeMetrics) => {
  const before = new Map<string, number>()
  const publish = (sample: Sample) => {
    const { name, help: description, labels, value } = sample
    if (sample.type === "gauge") return Metric.update(Metric.withAttributes(Metric.gauge(name, { description }), labels), value)
    const series = seriesOf(sample)
    const grown = value - (before.get(series) ?? 0)
    before.set(series, value)
    return Metric.update(Metric.withAttributes(Metric.counter(name, { description }), labels), grown)
  }
  return Effect.suspend(() => Effect.forEach(metrics.samples(), publish, { discard: true })).pipe(
    Effect.repeat(Schedule.spaced("1 second"))
  )
}
