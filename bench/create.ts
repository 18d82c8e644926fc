/**
 * How many connections can be created a second over HTTP, and how long one takes at half the wanted rate.
 *
 * `node bench/create.ts [--seconds 20] [--clients 24] [--rate 150] [--keep]`
 * First open-loop at a fixed rate: a request's time counts from when it was due, so that a stall is not hidden by requests that were never
 * sent. Then closed-loop: as many clients as given, each sending its next request when the last is answered. The looks at DNS that every
 * created connection asks for run all the while, as they would in an import.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { Pool } from "undici"
import { quantile, report } from "./report.ts"
import { runBenchmark, type Stack } from "./Stack.ts"

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    clients: { type: "string", default: "24" },
    rate: { type: "string", default: "150" },
    keep: { type: "boolean", default: false }
  }
})
const seconds = Number(values.seconds)
const clients = Number(values.clients)
const rate = Number(values.rate)

interface Load {
  readonly create: () => Promise<void>
  readonly ids: Array<string>
  readonly failures: Map<string, number>
}

const makeLoad = (stack: Stack, pool: Pool): Load => {
  const ids: Array<string> = []
  const failures = new Map<string, number>()
  let count = 0
  const headers = { authorization: `Bearer ${stack.state.api_key}`, "content-type": "application/json" }
  const fail = (why: string) => void failures.set(why, (failures.get(why) ?? 0) + 1)
  const create = async () => {
    const hostname = `h${count}.create-${stack.run}-${Math.floor(count++ / 200)}.test`
    const body = JSON.stringify({ application_id: stack.state.application_id, hostname, setup_type: "manual" })
    try {
      const response = await pool.request({ path: "/v1/connections", method: "POST", headers, body })
      const text = await response.body.text()
      if (response.statusCode === 201) ids.push((JSON.parse(text) as { id: string }).id)
      else fail(`${response.statusCode} ${text.slice(0, 200)}`)
    } catch (error) {
      fail(String(error))
    }
  }
  return { create, ids, failures }
}

/** Creates a second, over the whole time. */
const sustained = async ({ create, ids }: Load): Promise<number> => {
  const before = ids.length
  const began = performance.now()
  const end = began + seconds * 1_000
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) await create()
    })
  )
  return ((ids.length - before) / (performance.now() - began)) * 1_000
}

/** Milliseconds of each request from when it was due. */
const paced = async ({ create }: Load): Promise<ReadonlyArray<number>> => {
  const total = Math.round(rate * seconds)
  const began = performance.now()
  const latencies: Array<number> = []
  const pending: Array<Promise<void>> = []
  for (let n = 0; n < total; n++) {
    const due = began + (n / rate) * 1_000
    const wait = due - performance.now()
    if (wait > 1) await sleep(wait)
    pending.push(create().then(() => void latencies.push(performance.now() - due)))
  }
  await Promise.all(pending)
  return latencies
}

await runBenchmark(async (stack) => {
  const pool = new Pool(stack.state.api, { connections: Math.max(clients, 64) })
  const load = makeLoad(stack, pool)
  for (let n = 0; n < 100; n++) await load.create() // warm
  const latencies = await paced(load)
  const perSecond = await sustained(load)
  await pool.close()
  for (const [why, count] of load.failures) console.log(`  failed ${count}×: ${why}`)
  const failed = [...load.failures.values()].reduce((sum, count) => sum + count, 0)
  const good = report("create", { seconds, clients, rate }, [
    { what: "creates a second, sustained", value: perSecond, unit: "/s", target: { atLeast: 300 } },
    { what: `p50 at ${rate}/s`, value: quantile(latencies, 0.5), unit: "ms" },
    { what: `p99 at ${rate}/s`, value: quantile(latencies, 0.99), unit: "ms", target: { atMost: 100 } },
    { what: `slowest at ${rate}/s`, value: quantile(latencies, 1), unit: "ms" },
    { what: "failed", value: failed, unit: "", target: { atMost: 0 } }
  ])
  if (!values.keep) await stack.archive(load.ids)
  return good
})
