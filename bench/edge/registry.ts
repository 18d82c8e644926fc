/**
 * A registry of a million hostnames in one router process (E15): `node bench/edge/registry.ts [hosts]`.
 *
 * Memory, full collections, writing the snapshot beside the loop, and the time from starting a process to its first handshake; a `Map` of objects
 * for comparison. Takes some minutes and 4 GiB. Writes `bench/results/edge-registry.json`.
 */
import { type ChildProcess, fork } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { report } from "../report.ts"
import { realName } from "./manyHosts.ts"
import { checkPreloaded, routerEnvironment, routerOptions } from "./routerOptions.ts"

const [hosts = 1_000_000] = process.argv.slice(2).map(Number)
const folder = mkdtempSync(join(tmpdir(), "edge-registry-"))
const load = loadavg()[0]
const start = (mode: string) =>
  fork(join(import.meta.dirname, "registryProcess.ts"), [mode, String(hosts), folder], {
    // The maps don't fit into the heap that the router's process has.
    execArgv: ["--expose-gc", ...(mode === "map" ? ["--max-old-space-size=8192"] : routerOptions)],
    env: { ...process.env, ...routerEnvironment }
  })
const answer = (child: ChildProcess) =>
  new Promise<Record<string, number>>((resolve, reject) => {
    child.once("message", (message) => {
      checkPreloaded(child.pid!)
      resolve(message as Record<string, number>)
    })
    child.once("exit", () => reject(new Error("the process ended without an answer")))
  })

const run = async (mode: string) => {
  const child = start(mode)
  const measured = await answer(child)
  child.kill("SIGKILL")
  return measured
}

const handshake = (port: number) =>
  new Promise<void>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername: realName, rejectUnauthorized: false })
    socket.once("secureConnect", () => resolve(void socket.destroy())).once("error", reject)
  })

const compact = await run("compact")
const began = performance.now()
const serving = start("serve")
const { https, hostnames } = await answer(serving)
await handshake(https!)
const serveMillis = performance.now() - began
if (hostnames !== hosts + 1) throw new Error(`the snapshot gave ${hostnames} hostnames, not ${hosts + 1}`)
serving.send("report")
const served = await answer(serving)
serving.kill("SIGKILL")
const map = await run("map")
rmSync(folder, { recursive: true })

const ok = report("edge-registry", { hosts, load_before: load, compact, served, map }, [
  { what: "memory of a router process that was filled by puts", value: compact.rss!, unit: "MiB", target: { atMost: 1331 } },
  { what: "memory after start from the snapshot", value: served.rss!, unit: "MiB", target: { atMost: 1331 } },
  { what: "full collection, largest of 7", value: compact.gc_max!, unit: "ms", target: { atMost: 50 } },
  { what: "process start to first handshake", value: serveMillis, unit: "ms", target: { atMost: 5000 } },
  { what: "base file", value: compact.base_mib!, unit: "MiB" },
  { what: "writing the base", value: compact.write_ms!, unit: "ms" },
  { what: "event-loop delay meanwhile, p99", value: compact.write_delay_p99_ms!, unit: "ms", target: { atMost: 100 } },
  { what: "put of certificate and entry", value: compact.put_us!, unit: "µs" },
  { what: "longest put", value: compact.put_max_ms!, unit: "ms", target: { atMost: 50 } },
  { what: "look-up of a cold name", value: compact.find_us!, unit: "µs" },
  { what: "look-up of a hot name", value: compact.find_hot_ns!, unit: "ns" },
  { what: "memory of two Maps of objects", value: map.rss!, unit: "MiB" },
  { what: "full collection with them, largest of 7", value: map.gc_max!, unit: "ms" },
  { what: "longest put into them", value: map.put_max_ms!, unit: "ms" }
])
process.exit(ok ? 0 : 1)
