/**
 * Restarts and changes under load (E14): `node bench/edge/long/rolling.ts [requests/s] [restarts] [changes] [seconds]`; full size: 1000 20 5000 120.
 *
 * Two router processes share their ports; one after the other is told to end as soon as its successor listens. Meanwhile hostnames come, go, and
 * move from one tenant to another. Every answer is counted: 0 may fail, 0 may come from a wrong tenant. What the client repeats: `Visitors.ts`.
 */
import { readFileSync } from "node:fs"
import { quantile, report } from "../../report.ts"
import { Rig, tenants } from "./Rig.ts"
import { Visitors } from "./Visitors.ts"

const [rate = 1000, restarts = 20, changes = 5000, seconds = 120] = process.argv.slice(2).map(Number)
const visited = 16
const rig = await Rig.start()
const names = Array.from({ length: visited }, (_, at) => `shop${at}.example.org`)
for (const [at, name] of names.entries()) await rig.hold(name, at % tenants)

const reuse = { CD_EDGE_REUSE_PORT: "true", CD_EDGE_DRAIN_SECONDS: "20" }
const first = await rig.edge(reuse)
const ports = first.edge.ports
let live = [first, await rig.edge(reuse, ports)]

/** Whose answer is right: the tenant's that holds the name; while it moves, both; what began before the move was applied may still be the former's. */
const owners = new Map(names.map((name, at) => [name, { now: at % tenants, before: -1, since: 0 }]))
const right = (host: string, body: string, began: number): boolean => {
  const owner = owners.get(host)!
  return body === `tenant-${owner.now}` || (owner.before >= 0 && began <= owner.since && body === `tenant-${owner.before}`)
}
let at = 0
const visitors = new Visitors({ port: ports.https, ca: rig.plane.authority.pem, name: () => names[at++ % visited]!, right, rate })
const finished = visitors.run()
const began = performance.now()

let replaced = 0
let replacing: Promise<unknown> = Promise.resolve()

/** A name changes hands; until every live edge has applied it, either owner may answer. */
const move = async (name: string): Promise<void> => {
  const owner = owners.get(name)!
  const next = (owner.now + 1) % tenants
  owners.set(name, { now: next, before: owner.now, since: Number.POSITIVE_INFINITY })
  const revision = await rig.hold(name, next)
  for (let seen = -1; seen !== replaced; ) {
    seen = replaced
    await Promise.all(live.map(({ edge, id }) => Promise.race([rig.plane.applied(id, revision), edge.exited])))
    await replacing // a process that begins to serve meanwhile must have it too
  }
  owners.set(name, { now: next, before: owner.now, since: performance.now() })
}

let changed = 0
let moved = 0
const change = async (): Promise<void> => {
  const added: Array<string> = []
  for (; changed < changes; changed++) {
    const due = began + (changed / changes) * seconds * 1000
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 2))
    if (changed % 20 === 0) await move(names[moved++ % visited]!)
    else if (changed % 5 === 1 && added.length > 0) await rig.plane.release(rig.entries.get(added.shift()!)!)
    else {
      added.push(`new${changed}.example.org`)
      await rig.hold(added.at(-1)!, changed % tenants)
    }
  }
}

const drains: Array<number> = []
const codes: Array<number | string> = []
const restart = async (): Promise<void> => {
  for (let round = 0; round < restarts; round++) {
    const due = began + ((round + 0.5) / restarts) * seconds * 1000
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 20))
    const starting = rig.edge(reuse, ports)
    replacing = starting
    const next = await starting
    const old = live[0]!
    live = [live[1]!, next]
    replaced++
    const asked = performance.now()
    const code = await old.edge.stop()
    codes.push(code)
    if (code !== 0) console.log(`${old.id} ended with ${code}: ${old.edge.log}`)
    drains.push(performance.now() - asked)
  }
}
await Promise.all([change(), restart()])
const took = (performance.now() - began) / 1000
visitors.stop()
await finished
for (const { edge } of live) codes.push(await edge.stop())
await rig.stop()

const failed = [...visitors.failures.values()].reduce((sum, count) => sum + count, 0)
for (const example of visitors.examples) console.log(example)
const migrate = readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim()
const requests = visitors.served + visitors.wrong + failed
const { latencies, ways } = visitors
const met = report(
  "edge-rolling",
  { rate, restarts, changes, seconds, tcp_migrate_req: migrate, ways, failures: Object.fromEntries(visitors.failures) },
  [
    { what: "requests", value: requests, unit: "" },
    { what: "requests per second reached", value: requests / took, unit: "/s" },
    { what: "failed", value: failed, unit: "", target: { atMost: 0 } },
    { what: "answered by a wrong tenant", value: visitors.wrong, unit: "", target: { atMost: 0 } },
    { what: "repeated as HTTP permits", value: visitors.repeated, unit: "" },
    { what: "hostname changes", value: changed, unit: "" },
    { what: "restarts", value: drains.length, unit: "" },
    { what: "exit codes other than 0", value: codes.filter((code) => code !== 0).length, unit: "", target: { atMost: 0 } },
    { what: "drain, longest", value: Math.max(...drains), unit: "ms" },
    { what: "latency p50", value: quantile(latencies, 0.5), unit: "ms" },
    { what: "latency p99", value: quantile(latencies, 0.99), unit: "ms" }
  ]
)
process.exit(met ? 0 : 1)
