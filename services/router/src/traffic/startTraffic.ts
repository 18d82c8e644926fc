/**
 * The edge's traffic counters as they run in the service.
 *
 * Owns: where the spool lies (folder `traffic` beside the snapshot), the intervals, and the last counts at a shutdown: they are sent if billing answers
 * within two seconds, else they wait on the disk for the next start.
 */
import { join } from "node:path"
import { Effect, Latch, Option, Schedule } from "effect"
import type { EdgeMetrics } from "../observe/EdgeMetrics.ts"
import { tellProblems } from "../observe/tellProblems.ts"
import { EdgeId, SnapshotDir } from "../RouterConfig.ts"
import { seal, sealForever, type Traffic, TrafficSeconds } from "./sendTraffic.ts"
import { TrafficCounters } from "./TrafficCounters.ts"
import { TrafficSpool } from "./TrafficSpool.ts"

export const startTraffic = (metrics: EdgeMetrics) =>
  Effect.gen(function* () {
    const folder = Option.getOrUndefined(yield* SnapshotDir)
    const spool = new TrafficSpool(yield* EdgeId, folder === undefined ? undefined : join(folder, "traffic"))
    const traffic: Traffic = { counters: new TrafficCounters(), spool, waiting: yield* Latch.make(true) }
    metrics.add(
      {
        name: "edge_traffic_unsent",
        help: "Batches of traffic counts that billing has not confirmed.",
        type: "gauge",
        read: () => spool.size
      },
      {
        ...{ name: "edge_traffic_spool_broken", help: "1 while counts are only in memory: a kill would lose them.", type: "gauge" },
        read: () => Number(spool.problem !== undefined)
      }
    )
    yield* Effect.forkScoped(tellProblems("what was counted of traffic", spool, "a kill would lose what is counted now"))
    yield* Effect.forkScoped(sealForever(traffic, (yield* TrafficSeconds) * 1000))
    return traffic
  })

/** To be called after what sends was started: then it still runs when this does. */
export const sealAtEnd = (traffic: Traffic) =>
  Effect.addFinalizer(() => {
    const empty = Effect.suspend(() => (traffic.spool.size === 0 ? Effect.void : Effect.fail("unsent")))
    return Effect.andThen(
      seal(traffic, new Date()),
      Effect.ignore(Effect.timeoutOption(Effect.retry(empty, Schedule.spaced("10 millis")), "2 seconds"))
    )
  })
