/**
 * An import: many connections created at once, each customer's records in place, until every one is being issued a certificate or live.
 *
 * `node bench/import.ts [--count 10000] [--clients 32] [--minutes 30] [--until issuing_cert|live] [--keep]`
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import type { WantedRecord } from "@connect-domain/sandbox/CustomerDns.ts"
import { ProgressBar } from "@connect-domain/sandbox/progress.ts"
import { quantile, report } from "./report.ts"
import { inParallel, runBenchmark, type Stack } from "./Stack.ts"

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "10000" },
    clients: { type: "string", default: "32" },
    minutes: { type: "string", default: "30" },
    until: { type: "string", default: "issuing_cert" },
    keep: { type: "boolean", default: false }
  }
})
const count = Number(values.count)
const clients = Number(values.clients)
const wanted = values.until === "live" ? ["live", "drifted"] : ["issuing_cert", "live", "drifted"]
const perZone = 100

/** Highest resident memory of any process seen so far, by name. */
const watchMemory = (stack: Stack) => {
  const highest = new Map<string, number>()
  const look = () => {
    for (const [name, megabytes] of stack.memory()) highest.set(name, Math.max(highest.get(name) ?? 0, megabytes))
  }
  look()
  const timer = setInterval(look, 2_000)
  return {
    highest,
    stop: () => {
      clearInterval(timer)
      look()
    }
  }
}

const createAll = async (stack: Stack, batch: string) => {
  const ids: Array<string> = []
  const latencies: Array<number> = []
  const errors: Array<string> = []
  const bar = new ProgressBar("created", count)
  const zones = new Map<string, Array<WantedRecord>>()
  await inParallel(
    Array.from({ length: count }, (_, n) => n),
    clients,
    async (n) => {
      const zone = `import-${stack.run}-${Math.floor(n / perZone)}.test`
      const began = performance.now()
      try {
        const connection = await stack.create(`shop${n}.${zone}`, { batch_id: batch })
        latencies.push(performance.now() - began)
        ids.push(connection.id)
        const waiting = zones.get(zone) ?? []
        zones.set(zone, waiting)
        waiting.push(...stack.recordsOf(connection))
      } catch (error) {
        errors.push((error as Error).message)
      }
      bar.set(ids.length, errors.length > 0 ? `${errors.length} refused` : "")
    }
  )
  bar.finish()
  return { ids, latencies, errors, zones }
}

/** Reads the states in the database: ten thousand rows by pages of the API would be a load of its own. */
const untilThere = async (stack: Stack, batch: string, total: number): Promise<number> => {
  const bar = new ProgressBar(values.until, total)
  const limit = Date.now() + Number(values.minutes) * 60_000
  for (;;) {
    const rows = await stack.sql<Array<{ state: string; n: number }>>`
      select state, count(*)::int as n from lifecycle.published_connections where batch_id = ${batch} group by state order by state`
    const there = rows.filter((row) => wanted.includes(row.state)).reduce((sum, row) => sum + row.n, 0)
    bar.set(there, rows.map((row) => `${row.n} ${row.state}`).join(", "))
    if (there >= total || Date.now() > limit) {
      bar.finish()
      return there
    }
    await sleep(1_000)
  }
}

await runBenchmark(async (stack) => {
  const batch = `import-${stack.run}`
  const memory = watchMemory(stack)
  const began = performance.now()
  const { ids, latencies, errors, zones } = await createAll(stack, batch)
  const created = performance.now()
  await inParallel([...zones], 8, ([zone, records]) => stack.dns.put(zone, records))
  const there = await untilThere(stack, batch, ids.length)
  const ended = performance.now()
  memory.stop()
  for (const message of new Set(errors)) console.log(`  refused: ${message}`)
  const good = report("import", { count, clients, until: values.until }, [
    { what: "created", value: ids.length, unit: "", target: { atLeast: count } },
    { what: "creates a second", value: (ids.length / (created - began)) * 1_000, unit: "/s" },
    { what: "a create, p99", value: quantile(latencies, 0.99), unit: "ms" },
    { what: `reached ${values.until} or beyond`, value: there, unit: "", target: { atLeast: count } },
    { what: "  after", value: (ended - began) / 1_000, unit: "s" },
    { what: "  a second, over all", value: (there / (ended - began)) * 1_000, unit: "/s" },
    ...[...memory.highest].map(([name, megabytes]) => ({ what: `peak memory: ${name}`, value: megabytes, unit: "MB" }))
  ])
  if (!values.keep) await stack.archive(ids)
  return good
})
