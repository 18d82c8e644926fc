/**
 * Load with churn for a long time (T7): `node bench/edge/long/soak.ts [minutes] [requests/s] [changes/s]`; full size: 30 700 5.
 *
 * Hostnames come and go while visitors ask. Memory is sampled, and its slope taken over the second half by least squares; the first half is for warming.
 */
import { quantile, report } from "../../report.ts"
import { Rig, tenants } from "./Rig.ts"
import { Visitors } from "./Visitors.ts"

const [minutes = 30, rate = 700, changesPerSecond = 5] = process.argv.slice(2).map(Number)
const rig = await Rig.start()
const names = Array.from({ length: 16 }, (_, at) => `shop${at}.example.org`)
const owners = new Map(names.map((name, at) => [name, `tenant-${at % tenants}`]))
let revision = 0
for (const [at, name] of names.entries()) revision = await rig.hold(name, at % tenants)
const { edge, id } = await rig.edge()
await rig.plane.applied(id, revision)
let at = 0
const right = (host: string, body: string) => owners.get(host) === body
const visitors = new Visitors({ port: edge.https, ca: rig.plane.authority.pem, name: () => names[at++ % names.length]!, right, rate })
const finished = visitors.run()

interface Sample {
  readonly minute: number
  readonly memory: number
  readonly files: number
}
const samples: Array<Sample> = []
const began = performance.now()
const sampling = setInterval(() => {
  samples.push({ minute: (performance.now() - began) / 60_000, memory: edge.residentMebibytes, files: edge.openFiles })
}, 1000)
const total = minutes * 60 * changesPerSecond
for (let count = 0; count < total; count++) {
  const due = began + (count / changesPerSecond) * 1000
  while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 5))
  // A hundred names that come and go: the registry's size stays.
  const name = `churn${count % 100}.example.org`
  const known = rig.entries.get(name)
  if (known !== undefined && count % 2 === 0) await rig.plane.release(known)
  else await rig.hold(name, count % tenants)
}
clearInterval(sampling)
visitors.stop()
await finished
const code = await edge.stop()
await rig.stop()

const half = samples.slice(samples.length / 2)
const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
/** Per minute. */
const slope = (value: (sample: Sample) => number): number => {
  const [x, y] = [mean(half.map(({ minute }) => minute)), mean(half.map(value))]
  const spread = half.reduce((sum, { minute }) => sum + (minute - x) ** 2, 0)
  return half.reduce((sum, sample) => sum + (sample.minute - x) * (value(sample) - y), 0) / spread
}
for (const example of visitors.examples) console.log(example)
const failed = [...visitors.failures.values()].reduce((sum, count) => sum + count, 0) + visitors.wrong
const met = report("edge-soak", { minutes, rate, changesPerSecond, failures: Object.fromEntries(visitors.failures) }, [
  { what: "requests", value: visitors.served, unit: "" },
  { what: "failed or wrong", value: failed, unit: "", target: { atMost: 0 } },
  { what: "memory, first half's end", value: half[0]!.memory, unit: "MiB" },
  { what: "memory, end", value: half.at(-1)!.memory, unit: "MiB" },
  { what: "memory, slope of the second half", value: slope(({ memory }) => memory), unit: "MiB/min" },
  { what: "file descriptors, slope of the second half", value: slope(({ files }) => files), unit: "/min" },
  { what: "latency p99", value: quantile(visitors.latencies, 0.99), unit: "ms", target: { atMost: 100 } },
  { what: "exit code", value: Number(code), unit: "", target: { atMost: 0 } }
])
process.exit(met ? 0 : 1)
