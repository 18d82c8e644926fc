/**
 * NATS is gone for minutes under load, and Postgres with it (E16): `node bench/edge/long/outage.ts [minutes] [requests/s]`; full size: 30 500.
 *
 * The router knows no Postgres: none runs here at all, from beginning to end. After the outage a released name must be refused, and the time until
 * then is told; a process that starts during the outage must serve all names from its snapshot.
 */
import { connect } from "node:tls"
import { Effect } from "effect"
import { quantile, report } from "../../report.ts"
import { Rig, tenants } from "./Rig.ts"
import { Visitors } from "./Visitors.ts"

const [minutes = 30, rate = 500] = process.argv.slice(2).map(Number)
const rig = await Rig.start()
const names = Array.from({ length: 16 }, (_, at) => `shop${at}.example.org`)
const owners = new Map(names.map((name, at) => [name, `tenant-${at % tenants}`]))
for (const [at, name] of names.entries()) await rig.hold(name, at % tenants)
const leaving = "leaving.example.org"
const revision = await rig.hold(leaving, 0)
const { edge, id } = await rig.edge()
await rig.plane.applied(id, revision)
let at = 0
const right = (host: string, body: string) => owners.get(host) === body
const visitors = new Visitors({ port: edge.https, ca: rig.plane.authority.pem, name: () => names[at++ % names.length]!, right, rate })
const finished = visitors.run()
const handshake = (servername: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: edge.https, servername, rejectUnauthorized: false })
    socket.on("secureConnect", () => resolve(socket.destroy() !== undefined)).on("error", () => resolve(false))
  })

const before = { memory: edge.residentMebibytes, files: edge.openFiles }
await Effect.runPromise(rig.plane.nats.stop("SIGKILL"))
const part = (share: number) => new Promise((resolve) => setTimeout(resolve, minutes * 60_000 * share))
await part(1 / 6)
const early = { memory: edge.residentMebibytes, files: edge.openFiles }
await part(5 / 6)
const during = { memory: edge.residentMebibytes, files: edge.openFiles }
const served = visitors.served
await Effect.runPromise(rig.plane.nats.start)
const began = performance.now()
await rig.plane.release(rig.entries.get(leaving)!)
const released = performance.now()
while (await handshake(leaving)) await new Promise((resolve) => setTimeout(resolve, 20))
const effective = performance.now()
visitors.stop()
await finished
const code = await edge.stop()
await rig.stop()
for (const example of visitors.examples) console.log(example)
const failed = [...visitors.failures.values()].reduce((sum, count) => sum + count, 0)
const met = report("edge-outage", { minutes, rate, failures: Object.fromEntries(visitors.failures) }, [
  { what: "served during the outage", value: served, unit: "" },
  { what: "failed", value: failed, unit: "", target: { atMost: 0 } },
  { what: "answered by a wrong tenant", value: visitors.wrong, unit: "", target: { atMost: 0 } },
  { what: "a release is taken by NATS after its return", value: released - began, unit: "ms" },
  { what: "and effective after", value: effective - released, unit: "ms" },
  { what: "memory before", value: before.memory, unit: "MiB" },
  { what: "memory after a sixth of the outage", value: early.memory, unit: "MiB" },
  { what: "memory at the outage's end", value: during.memory, unit: "MiB" },
  { what: "file descriptors before", value: before.files, unit: "" },
  { what: "file descriptors after a sixth of it", value: early.files, unit: "" },
  { what: "file descriptors at its end", value: during.files, unit: "" },
  { what: "latency p99", value: quantile(visitors.latencies, 0.99), unit: "ms" },
  { what: "exit code", value: Number(code), unit: "", target: { atMost: 0 } }
])
process.exit(met ? 0 : 1)
