/**
 * Resident memory of the idle sandbox: all services in one process, and the servers beside it.
 *
 * `node bench/memory.ts [--settle 15] [--samples 10]` after `./dev up --detach` (without `--split`: the target is for one process).
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { quantile, report } from "./report.ts"
import { runBenchmark } from "./Stack.ts"

const { values } = parseArgs({ options: { settle: { type: "string", default: "15" }, samples: { type: "string", default: "10" } } })

await runBenchmark(async (stack) => {
  await sleep(Number(values.settle) * 1_000)
  const samples = new Map<string, Array<number>>()
  for (let n = 0; n < Number(values.samples); n++) {
    for (const [name, megabytes] of stack.memory()) samples.set(name, [...(samples.get(name) ?? []), megabytes])
    await sleep(1_000)
  }
  const rows = [...samples].map(([name, megabytes]) => {
    const together = name.includes("gateway") && name.includes("router")
    const row = { what: together ? "all services in one process" : name, value: quantile(megabytes, 0.5), unit: "MB" }
    return together ? { ...row, target: { atMost: 350 } } : row
  })
  return report("memory", { settle: Number(values.settle), samples: Number(values.samples) }, rows)
})
