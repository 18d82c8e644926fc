/**
 * Instructions outside the kernel that one request costs the router, counted by callgrind: `node bench/edge/instructions.ts`.
 *
 *   --loads h2,…           of h1, h2, browser, handshake; default h1,h2
 *   --requests 20000       counted for each load, after ten times as many that are not; a twentieth of both for handshakes
 *   --top 20               functions that cost most
 *   --before <checkout>    the router of another checkout too
 *
 * Needs nginx, h2load and valgrind on the PATH, and tcmalloc. Slow (a minute or two for each load). A busy machine doesn't change them: a percent of compiled
 * JavaScript shows here, and is lost in the noise of `run.ts`; V8's collections make the rest differ by some percent. Instructions are not time: caches, waiting and the kernel are missing, and
 * callgrind's processor has no SHA, AVX-512 and ADX instructions, so OpenSSL's share is too large. Only the main thread counts: what V8 compiles and
 * collects in others is not a request's doing.
 */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type LoadName, loads, requests } from "./load.ts"
import { Processes } from "./Processes.ts"
import { startOrigin, startRouter } from "./subjects.ts"

const { values } = parseArgs({
  options: {
    loads: { type: "string", default: "h1,h2" },
    requests: { type: "string", default: "20000" },
    top: { type: "string", default: "20" },
    before: { type: "string" }
  }
})

/** Where a compiled function lies, by `--perf-basic-prof`. */
interface Compiled {
  readonly start: number
  readonly end: number
  readonly name: string
}

const readCompiled = (file: string): ReadonlyArray<Compiled> =>
  readFileSync(file, "utf8")
    .split("\n")
    .map((line) => /^([0-9a-f]+) ([0-9a-f]+) (.*)$/.exec(line))
    .filter((found) => found !== null)
    .map(([, start, size, name]) => ({ start: Number.parseInt(start!, 16), size: Number.parseInt(size!, 16), name: name! }))
    .map(({ name, size, start }) => ({ start, end: start + size, name: name.replace(/file:.*\/(?=src\/)/, "") }))

const nameOf = (compiled: ReadonlyArray<Compiled>, address: string): string => {
  const at = Number.parseInt(address, 16)
  return compiled.findLast(({ end, start }) => at >= start && at < end)?.name ?? "?"
}

/** Instructions by object file and by function, each without what it calls. Callgrind names what V8 compiled by its address, in no object. */
const readCosts = (profile: string, compiled: ReadonlyArray<Compiled>) => {
  const [objects, functions] = [new Map<string, number>(), new Map<string, number>()]
  const names = new Map<string, string>()
  /** "(id) name" the first time, "(id)" from then on. */
  const named = (kind: string, text: string): string => {
    const [, id, name] = /^\((\d+)\)(?: (.*))?$/.exec(text)!
    if (name !== undefined) names.set(kind + id, name)
    return names.get(kind + id)!
  }
  const add = (to: Map<string, number>, key: string, cost: number) => to.set(key, (to.get(key) ?? 0) + cost)
  let [object, name, called] = ["", "", false]
  for (const line of profile.split("\n")) {
    const [key, text] = [line.slice(0, line.indexOf("=") + 1), line.slice(line.indexOf("=") + 1)]
    if (key === "ob=") object = named("object", text)
    else if (key === "cob=") named("object", text)
    else if (key === "fn=") name = named("function", text)
    else if (key === "cfn=") named("function", text)
    else if (key === "calls=") called = true
    else if (/^[+\-*\d]/.test(line)) {
      const cost = Number(line.split(" ")[1])
      const address = /^0x([0-9a-f]+)/.exec(name)
      if (!called) add(objects, object === "???" ? "compiled JavaScript" : object.slice(object.lastIndexOf("/") + 1), cost)
      if (!called) add(functions, address === null ? name : nameOf(compiled, address[1]!), cost)
      called = false
    }
  }
  return { objects, functions }
}

const largest = (costs: ReadonlyMap<string, number>, most: number) => [...costs].sort(([, one], [, other]) => other - one).slice(0, most)

const measure = async (load: LoadName, name: "router" | "before", checkout: string): Promise<void> => {
  const processes = new Processes()
  const { folder } = processes
  const file = join(folder, "callgrind.out")
  let map = ""
  try {
    const origin = await startOrigin(processes)
    const options = ["--instr-atstart=no", "--separate-threads=yes", "--smc-check=all-non-file", "-q", `--callgrind-out-file=${file}`]
    const node = ["valgrind", "--tool=callgrind", ...options, process.execPath, "--perf-basic-prof"] as const
    const { pid, port } = await startRouter(processes, name, checkout, origin, node)
    map = `/tmp/perf-${pid}.map`
    const count = loads[load].burst === undefined ? Number(values.requests) : Math.ceil(Number(values.requests) / 20)
    await requests(port, loads[load], count * 10)
    execFileSync("callgrind_control", ["-i", "on", String(pid)], { stdio: "ignore" })
    const done = await requests(port, loads[load], count)
    execFileSync("callgrind_control", ["-d", String(pid)], { stdio: "ignore" })
    const dump = readdirSync(folder).find((entry) => /^callgrind\.out\.\d+-01$/.test(entry))
    if (dump === undefined) throw new Error(`callgrind wrote nothing into ${folder}`)
    const { functions, objects } = readCosts(readFileSync(join(folder, dump), "utf8"), readCompiled(map))
    const each = (cost: number) =>
      Math.round(cost / done)
        .toLocaleString("en-US")
        .padStart(11)
    console.log(`\n${loads[load].title}: ${checkout}`)
    console.log(`${each([...objects.values()].reduce((sum, cost) => sum + cost, 0))} instructions for each of ${done}`)
    for (const [object, cost] of largest(objects, 3)) console.log(`${each(cost)} ${object}`)
    for (const [called, cost] of largest(functions, Number(values.top))) console.log(`  ${each(cost)} ${called.slice(0, 110)}`)
  } finally {
    await processes.end()
    rmSync(map, { force: true })
  }
}

const own = join(import.meta.dirname, "../..")
for (const load of values.loads.split(",") as Array<LoadName>) {
  if (values.before !== undefined) await measure(load, "before", values.before)
  await measure(load, "router", own)
}
