/**
 * Carries counts from requests to billing.
 *
 * Owns: the intervals, which never cross an hour, and sending one batch after the other until billing says that it is committed. Leaves to
 * `TrafficSpool.ts`: what is not confirmed. Built against: a count that is lost, or counted twice, while NATS, billing, Postgres or this process is away.
 */
import { countTraffic } from "@connect-domain/messages/traffic.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Config, Effect, Latch, Schedule } from "effect"
import type { TrafficCounters } from "./TrafficCounters.ts"
import type { TrafficSpool } from "./TrafficSpool.ts"

/** `CD_EDGE_TRAFFIC_SECONDS` (10): how often traffic is written down and told to billing; a killed process loses at most so much of it. */
export const TrafficSeconds = Config.Finite("CD_EDGE_TRAFFIC_SECONDS").pipe(Config.withDefault(10))

export interface Traffic {
  readonly counters: TrafficCounters
  readonly spool: TrafficSpool
  /** Open while there is something to send. */
  readonly waiting: Latch.Latch
}

/** Writes down what was counted so far. */
export const seal = ({ counters, spool, waiting }: Traffic, at: Date) =>
  Effect.suspend(() => {
    const rows = counters.take()
    if (rows.length === 0) return Effect.void
    return Effect.andThen(
      Effect.promise(() => spool.add({ at: at.toISOString(), rows })),
      Effect.sync(() => waiting.openUnsafe())
    )
  })

const hourMillis = 3_600_000

/** For ever: at every turn of the interval and of the hour. What was counted is of the time before the turn. */
export const sealForever = (traffic: Traffic, intervalMillis: number) =>
  Effect.gen(function* () {
    const began = Date.now()
    const toHour = hourMillis - (began % hourMillis)
    yield* Effect.sleep(Math.min(intervalMillis - (began % intervalMillis), toHour))
    yield* seal(traffic, new Date(began))
  }).pipe(Effect.forever)

/** For ever: the oldest batch until it is confirmed, then the next. Where billing is away it is asked again, ever more slowly. */
export const sendForever = ({ spool, waiting }: Traffic) =>
  Effect.gen(function* () {
    const calls = yield* Calls
    const patience = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)
    const sendOne = Effect.suspend(() => {
      const batch = spool.next()
      if (batch === undefined) return Effect.sync(() => waiting.closeUnsafe())
      return calls.request(countTraffic, batch).pipe(
        Effect.retry({ schedule: patience, while: (error) => error.code !== "invalid" }),
        // It would be refused for ever; the others must not wait for it.
        Effect.catch((error) =>
          Effect.logError("billing refuses counts of traffic; they are dropped", { why: error.message, at: batch.at })
        ),
        Effect.andThen(Effect.promise(() => spool.confirmed()))
      )
    })
    yield* Effect.forever(Effect.andThen(Latch.await(waiting), sendOne))
  })
