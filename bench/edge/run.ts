/**
 * Edge CPU per request beside nginx and haproxy: `node bench/edge/run.ts [rounds]`.
 *
 * Needs nginx, haproxy and h2load on the PATH, Linux, two cores. Rounds of one second alternate between the edges, so that a noisy machine is noisy
 * for all of them; pairs within a round are compared, median and quartiles printed. The edges run on one core, load and origin on the other.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { cpuOfTree, residentMebibytes } from "./cpuOf.ts"
import { haproxyEdge, nginxEdge, nginxOrigin } from "./peers.ts"

/** A larger nursery: requests die young. Costs some tens of megabytes; its gain is still to be measured in pairs. */
const heap = ["--max-semi-space-size=32"]
const run = promisify(execFile)
const rounds = Number(process.argv[2] ?? 20)
const folder = mkdtempSync(join(tmpdir(), "edge-bench-"))
const children: Array<ChildProcess> = []
const wait = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

const start = (core: number, program: string, ...parameters: ReadonlyArray<string>): ChildProcess => {
  const child = spawn("taskset", ["-c", String(core), program, ...parameters], { stdio: ["ignore", "ignore", "inherit"] })
  children.push(child)
  return child
}

interface Subject {
  readonly name: string
  readonly port: number
  readonly pid: number
}

const startAll = async (): Promise<ReadonlyArray<Subject>> => {
  mkdirSync(join(folder, "www"))
  writeFileSync(join(folder, "www", "kilobyte"), Buffer.alloc(1024, 97))
  writeFileSync(join(folder, "www", "megabyte"), Buffer.alloc(1024 * 1024, 97))
  const [origin, nginx, haproxy] = [await freePort(), await freePort(), await freePort()]
  writeFileSync(join(folder, "origin.conf"), nginxOrigin(folder, origin))
  start(1, "nginx", "-c", join(folder, "origin.conf"))
  const edge = start(0, process.execPath, ...heap, join(import.meta.dirname, "startEdge.ts"), `http://127.0.0.1:${origin}`, folder)
  while (!existsSync(join(folder, "edge.json"))) await wait(50)
  writeFileSync(
    join(folder, "both.pem"),
    `${readFileSync(join(folder, "chain.pem"), "utf8")}\n${readFileSync(join(folder, "key.pem"), "utf8")}`
  )
  writeFileSync(join(folder, "nginx.conf"), nginxEdge(folder, nginx, origin))
  writeFileSync(join(folder, "haproxy.cfg"), haproxyEdge(folder, haproxy, origin))
  const first = start(0, "nginx", "-c", join(folder, "nginx.conf"))
  const second = start(0, "haproxy", "-f", join(folder, "haproxy.cfg"))
  await wait(500)
  const { https } = JSON.parse(readFileSync(join(folder, "edge.json"), "utf8")) as { https: number }
  return [
    { name: "nginx", port: nginx, pid: first.pid! },
    { name: "haproxy", port: haproxy, pid: second.pid! },
    { name: "router", port: https, pid: edge.pid! }
  ]
}

/** Returns microseconds of edge CPU per request, requests a second, and the share of the core that the edge was busy. */
const measure = async (subject: Subject, load: ReadonlyArray<string>, seconds: number, path: string) => {
  const url = `https://bench.example.org:${subject.port}/${path}`
  const before = cpuOfTree(subject.pid)
  const began = performance.now()
  const { stdout } = await run("taskset", [
    "-c",
    "1",
    "h2load",
    ...load,
    "-D",
    String(seconds),
    "--connect-to",
    `127.0.0.1:${subject.port}`,
    url
  ])
  const nanos = cpuOfTree(subject.pid) - before
  const millis = performance.now() - began
  const counts = /requests: [0-9]+ total, [0-9]+ started, [0-9]+ done, ([0-9]+) succeeded, ([0-9]+) failed/.exec(stdout)
  const status = /status codes: ([0-9]+) 2xx/.exec(stdout)
  const done = Number(status?.[1] ?? counts?.[1] ?? 0)
  return { micros: nanos / 1000 / done, rate: done / seconds, busy: nanos / 1e6 / millis, failed: Number(counts?.[2] ?? 0) }
}

const quartiles = (values: ReadonlyArray<number>) => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)]!.toFixed(2)
  return `${at(0.5)} (${at(0.25)}–${at(0.75)})`
}

const compare = async (subjects: ReadonlyArray<Subject>, title: string, load: ReadonlyArray<string>, path: string) => {
  for (const subject of subjects) await measure(subject, load, 3, path) // warms caches and the JIT
  const results = new Map(subjects.map(({ name }) => [name, [] as Array<Awaited<ReturnType<typeof measure>>>]))
  for (let round = 0; round < rounds; round++)
    for (const subject of subjects) results.get(subject.name)!.push(await measure(subject, load, 1, path))
  const base = results.get("nginx")!
  console.log(`\n${title}`)
  for (const { name, pid } of subjects) {
    const own = results.get(name)!
    const ratio = quartiles(own.map(({ micros }, at) => micros / base[at]!.micros))
    const failed = own.reduce((sum, each) => sum + each.failed, 0)
    console.log(
      `  ${name.padEnd(8)} CPU ${quartiles(own.map((each) => each.micros))} µs/request, nginx = 1: ${ratio}, ` +
        `${Math.round(Math.max(...own.map((each) => each.rate)))} requests/s best, busy ${quartiles(own.map((each) => each.busy))}, ` +
        `failed ${failed}, RSS ${residentMebibytes(pid)} MiB`
    )
  }
}

try {
  const subjects = await startAll()
  await compare(subjects, "HTTP/1.1, 64 connections, 1 kB", ["--h1", "-c", "64", "-t", "1"], "kilobyte")
  await compare(subjects, "HTTP/2, 16 connections × 16 streams, 1 kB", ["-c", "16", "-m", "16", "-t", "1"], "kilobyte")
  await compare(subjects, "HTTP/1.1, 16 connections, 1 MB", ["--h1", "-c", "16", "-t", "1"], "megabyte")
} finally {
  for (const child of children) child.kill("SIGTERM")
  await wait(500)
  rmSync(folder, { recursive: true, force: true })
}
