/**
 * Mutated input for as long as wanted (E17): `node bench/edge/long/fuzz.ts [minutes] [seed]`.
 *
 * Ends with the number of the batch and the seed as soon as a process is gone or no longer serves; the same seed makes the same cases
 * (`services/router/src/requirements/fuzzing.ts`). Memory and file descriptors are told at the end.
 */
import { fuzzCase, send } from "@connect-domain/router/requirements/fuzzing.ts"
import { report } from "../../report.ts"
import { Rig } from "./Rig.ts"
import { Visitors } from "./Visitors.ts"

const [minutes = 60, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
const host = "shop.example.org"
const rig = await Rig.start()
const revision = await rig.hold(host, 0)
const open = await rig.edge({ CD_EDGE_DRAIN_SECONDS: "1" })
const behind = await rig.edge({ CD_EDGE_DRAIN_SECONDS: "1", CD_EDGE_PROXY_TRUSTED: "127.0.0.0/8" })
await Promise.all([open, behind].map(({ id }) => rig.plane.applied(id, revision)))
const target = { https: open.edge.https, http: open.edge.http, proxied: behind.edge.https, host }
// Beside the harm a visitor, who must notice nothing.
const right = (_: string, body: string) => body === "tenant-0"
const visitors = new Visitors({ port: target.https, ca: rig.plane.authority.pem, name: () => host, right, rate: 20 })
const finished = visitors.run()

console.log(`seed ${seed}`)
const kinds = new Map<string, number>()
const until = performance.now() + minutes * 60_000
let [number, dead, first] = [0, "", 0]
while (performance.now() < until && dead === "") {
  const cases = Array.from({ length: 64 }, () => fuzzCase(seed, number++, host))
  await Promise.all(cases.map((one) => send(target, one)))
  for (const { kind } of cases) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  if (number === 64 * 50) first = open.edge.residentMebibytes
  for (const { edge, id } of [open, behind])
    if (edge.child.exitCode !== null)
      dead = `${id} ended within the cases ${number - 64} to ${number - 1} of seed ${seed}: ${edge.log.slice(-3000)}`
}
if (dead !== "") console.log(dead)
visitors.stop()
await finished
await new Promise((resolve) => setTimeout(resolve, 5000))
const [last, files] = dead === "" ? [open.edge.residentMebibytes, open.edge.openFiles] : [0, 0]
const failures = [...visitors.failures.values()].reduce((sum, count) => sum + count, 0) + visitors.wrong
for (const example of visitors.examples) console.log(example)
for (const { edge } of [open, behind]) if (edge.child.exitCode === null) await edge.stop()
await rig.stop()
const met = report("edge-fuzz", { minutes, seed, kinds: Object.fromEntries(kinds) }, [
  { what: "cases", value: number, unit: "" },
  { what: "processes that ended", value: dead === "" ? 0 : 1, unit: "", target: { atMost: 0 } },
  { what: "visitor's requests", value: visitors.served, unit: "" },
  { what: "visitor's failures", value: failures, unit: "", target: { atMost: 0 } },
  { what: "memory after 3,200 cases", value: first, unit: "MiB" },
  { what: "memory at the end", value: last, unit: "MiB" },
  { what: "file descriptors at the end", value: files, unit: "" }
])
process.exit(met ? 0 : 1)
