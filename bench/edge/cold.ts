/**
 * A restart with many names (E15): `node bench/edge/cold.ts [names] [distinct SNI] [seconds]`.
 *
 * Handshakes with names that were not asked for before, at a steady rate, one in ten of them unknown. Writes `bench/results/edge-cold.json`: memory,
 * the router's event-loop delay, how long handshakes took, and how many succeeded. Client and router share the machine's cores.
 */
import { fork } from "node:child_process"
import { loadavg } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { quantile, report } from "../report.ts"
import { cpuOf } from "./cpuOf.ts"
import { checkPreloaded, routerEnvironment, routerOptions } from "./routerOptions.ts"

interface Final {
  readonly rss: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly contexts: number
  readonly counts: { readonly served: number; readonly unknown: number }
}

const [names = 100_000, distinct = 20_000, seconds = 60] = process.argv.slice(2).map(Number)
const load = loadavg()[0]
const edge = fork(join(import.meta.dirname, "coldEdge.ts"), [String(names)], {
  execArgv: [...routerOptions],
  env: { ...process.env, ...routerEnvironment }
})
const answer = <A>() => new Promise<A>((resolve) => edge.once("message", (message) => resolve(message as A)))
const { port, rss } = await answer<{ port: number; rss: number }>()
checkPreloaded(edge.pid!)

const times: Array<number> = []
let refused = 0
const handshake = (servername: string) =>
  new Promise<void>((resolve) => {
    const began = performance.now()
    const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false })
    socket.on("secureConnect", () => {
      times.push(performance.now() - began)
      socket.destroy()
    })
    socket.on("error", () => refused++)
    socket.on("close", () => resolve())
  })

const began = performance.now()
const cpuBefore = cpuOf(edge.pid!)
const open = new Set<Promise<void>>()
for (let at = 0; at < distinct; at++) {
  const due = began + (at / distinct) * seconds * 1000
  while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 1))
  const name = at % 10 === 9 ? `unknown${at}.example.org` : `n${(at * 7919) % names}.bench.example.org`
  const one = handshake(name).then(() => void open.delete(one))
  open.add(one)
  if (open.size >= 256) await Promise.race(open)
}
await Promise.all(open)
const took = (performance.now() - began) / 1000
const cpu = (cpuOf(edge.pid!) - cpuBefore) / 1e9
edge.send("report")
const final = await answer<Final>()
edge.kill("SIGTERM")

const unknown = Math.floor(distinct / 10)
const ok = report("edge-cold", { names, distinct, seconds, load_before: load, load_after: loadavg()[0], final }, [
  { what: "known names served", value: times.length, unit: "", target: { atLeast: distinct - unknown } },
  { what: "unknown names refused", value: refused, unit: "", target: { atMost: unknown } },
  { what: "contexts made", value: final.contexts, unit: "", target: { atMost: distinct - unknown } },
  { what: "time taken", value: took, unit: "s" },
  { what: "router's CPU, of one core", value: (cpu / took) * 100, unit: "%" },
  { what: "event-loop delay of the router, p50", value: final.p50, unit: "ms" },
  { what: "event-loop delay of the router, p99", value: final.p99, unit: "ms", target: { atMost: 100 } },
  { what: "event-loop delay of the router, max", value: final.max, unit: "ms" },
  { what: "handshake as the client sees it, p50", value: quantile(times, 0.5), unit: "ms" },
  { what: "handshake as the client sees it, p99", value: quantile(times, 0.99), unit: "ms" },
  { what: "memory before, no context", value: rss, unit: "MiB" },
  { what: "memory after", value: final.rss, unit: "MiB" }
])
process.exit(ok ? 0 : 1)
