/** Counts a CA's answers by outcome, so that one that is away, limits or refuses is seen before names run out (A15). */
import { Effect, Metric } from "effect"
import type { Transport } from "../acme/Transport.ts"
import { answersTotal } from "./metrics.ts"

export type Outcome = "ok" | "refused" | "limited" | "unavailable"

export const outcomeOf = (status: number): Outcome =>
  status === 429 ? "limited" : status >= 500 ? "unavailable" : status >= 400 ? "refused" : "ok"

export const countAnswers = (ca: string, transport: Transport): Transport => {
  const count = (outcome: Outcome) => Metric.update(Metric.withAttributes(answersTotal, { ca, outcome }), 1)
  return (request) =>
    transport(request).pipe(
      Effect.tap(({ status }) => count(outcomeOf(status))),
      Effect.tapError(() => count("unavailable"))
    )
}
