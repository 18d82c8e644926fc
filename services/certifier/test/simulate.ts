/**
 * The simulation by command. Each prints a line per seed; a seed that breaks is printed with the command that repeats it, and fails.
 *
 *   node services/certifier/test/simulate.ts [--seeds 200] [--names 1000] [--from 1] [--workers <cores>]   years (T1)
 *   node services/certifier/test/simulate.ts --spread [--names 100000]                          one hour's certificates, next cycle (A6)
 *   node services/certifier/test/simulate.ts --dead [--names 1000] [--seeds 10]                 dead names, thirty days (A7)
 */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { Broken } from "./simulation/checks.ts"
import { simulateDeadNames } from "./simulation/simulateDeadNames.ts"
import { simulateSpread } from "./simulation/simulateSpread.ts"
import { simulateYear } from "./simulation/simulateYear.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    names: { type: "string" },
    from: { type: "string", default: "1" },
    workers: { type: "string", default: String(availableParallelism()) },
    spread: { type: "boolean", default: false },
    dead: { type: "boolean", default: false }
  }
})

interface Line {
  readonly text: string
  readonly isBroken: boolean
}

const year = (seed: number, count: number): string => {
  const { names, renewed, revoked, leastShareLeft, busiestHour, deadOrders, givenUp } = simulateYear(seed, count)
  const least = (leastShareLeft * 100).toFixed(1)
  return `${names} names, ${renewed} renewals, ${revoked} revoked, at least ${least} % of the life left, busiest hour ${busiestHour}, ${deadOrders} orders for dead names, ${givenUp} times given up`
}

const deadNames = (seed: number, count: number): string => {
  const { orders, mostADay, ordersAfterPause, givenUp, slowestLive } = simulateDeadNames(seed, count)
  return `${count} dead names: ${orders} orders in thirty days, at most ${mostADay} a day after the ladder, ${ordersAfterPause} after the pause, ${givenUp} given up; the slowest living name waited ${slowestLive.toFixed(1)} s`
}

const spread = (seed: number, count: number): string => {
  const { renewed, busiestHour, mean, ratio } = simulateSpread(seed, count)
  if (ratio > 2) throw new Broken(`seed ${seed}: the busiest hour has ${ratio.toFixed(2)} times the mean`)
  return `${renewed} renewals of certificates of one hour: busiest hour ${busiestHour}, mean ${mean.toFixed(0)}, ${ratio.toFixed(2)} times`
}

const attempt = (seed: number): Line => {
  const [run, flag, count] = values.spread
    ? ([spread, " --spread", 100_000] as const)
    : values.dead
      ? ([deadNames, " --dead", 1000] as const)
      : ([year, "", 1000] as const)
  const names = Number(values.names ?? count)
  try {
    return { text: `seed ${seed}: ${run(seed, names)}`, isBroken: false }
  } catch (error) {
    if (!(error instanceof Broken)) throw error
    const again = `node services/certifier/test/simulate.ts${flag} --seeds 1 --from ${seed} --names ${names}`
    return { text: `${error.message}\nreproduce: ${again}`, isBroken: true }
  }
}

if (isMainThread) {
  const first = Number(values.from)
  const count = Number(values.seeds ?? (values.spread ? 1 : values.dead ? 10 : 200))
  const workers = Math.max(1, Math.min(Number(values.workers), count))
  const began = performance.now()
  let broken = 0
  await Promise.all(
    Array.from({ length: workers }, (_, index) => {
      const seeds = Array.from({ length: count }, (_, n) => first + n).filter((_, n) => n % workers === index)
      const worker = new Worker(new URL(import.meta.url), { workerData: seeds, argv: process.argv.slice(2) })
      worker.on("message", ({ text, isBroken }: Line) => {
        if (isBroken) broken++
        console.log(text)
      })
      return new Promise((resolve, reject) => worker.once("error", reject).once("exit", resolve))
    })
  )
  console.log(`${count} seeds in ${((performance.now() - began) / 1000).toFixed(0)} s, ${broken} broken`)
  if (broken > 0) process.exitCode = 1
} else for (const seed of workerData as ReadonlyArray<number>) parentPort!.postMessage(attempt(seed))
