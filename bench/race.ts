/**
 * Requirement A1 at its full size: 8 certifier processes, 200 names, a Pebble that refuses 90 % of good nonces; one process is stopped past its
 * leases and woken after the others have finished.
 *
 * `node bench/race.ts [--processes 8] [--names 200]` Needs no sandbox. CI runs 4 × 16 (`services/certifier/src/requirements/A1A2…`).
 */
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { raceEnv, raceWorkers } from "../services/certifier/test/raceWorkers.ts"
import { makeWorld } from "../services/certifier/test/World.ts"
import { report } from "./report.ts"

const { values } = parseArgs({ options: { processes: { type: "string", default: "8" }, names: { type: "string", default: "200" } } })
const [processes, names] = [Number(values.processes), Number(values.names)]

const program = Effect.gen(function* () {
  const world = yield* makeWorld({ pebble: { nonceReject: 90, sleepSeconds: 40 }, env: raceEnv(processes, names) })
  const started = performance.now()
  const counted = yield* raceWorkers(world, processes, names, 900)
  return { ...counted, seconds: (performance.now() - started) / 1000 }
})

const { orders, certificates, takenOver, foreign, notices, seconds } = await Effect.runPromise(
  Effect.scoped(program) as Effect.Effect<Effect.Success<typeof program>>
)
const ok = report("race", { processes, names }, [
  { what: "certificates stored", value: certificates, unit: "", target: { atLeast: names } },
  { what: "orders at the CA", value: orders, unit: "", target: { atMost: names } },
  { what: "taken over from the stopped process", value: takenOver, unit: "", target: { atLeast: 1 } },
  { what: "stored by whoever had lost the claim", value: foreign, unit: "", target: { atMost: 0 } },
  { what: "notices of issue", value: notices, unit: "", target: { atMost: names } },
  { what: "the whole race", value: seconds, unit: "s" }
])
process.exit(ok ? 0 : 1)
