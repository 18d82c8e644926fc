/**
 * Edge CPU per request beside nginx, haproxy and caddy: `node bench/edge/run.ts`.
 *
 *   --rounds 20            rounds of one second for each edge and load
 *   --starts 1             the edges are started so often, the rounds shared out: what differs from process to process is averaged
 *   --loads h1,h2,…        of h1, h1browser, h2, browser, handshake, megabyte, h2megabyte; default all
 *   --peers nginx,…        of nginx, haproxy, caddy; default those that are installed (nginx always)
 *   --before <checkout>    measures the router of another checkout in the same rounds
 *
 * Needs nginx and h2load on the PATH, Linux, two cores. Rounds alternate between the edges, so that a noisy machine is noisy for all of them; pairs
 * within a round are compared, median and quartiles printed. The edges run on one core, load and origin on the other. With all loads, the goals are
 * judged and `bench/results/edge.json` is written.
 */
import { execFileSync } from "node:child_process"
import { parseArgs } from "node:util"
import { residentMebibytes } from "./cpuOf.ts"
import { judge } from "./goals.ts"
import { type Load, type LoadName, loadNames, loads, measure, type Round } from "./load.ts"
import { enterOwnNetwork } from "./ownNetwork.ts"
import { Processes } from "./Processes.ts"
import { quartilesOf, ratiosOf, shown } from "./statistics.ts"
import { type Peer, peerNames, type Subject, startSubjects } from "./subjects.ts"

enterOwnNetwork()
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    starts: { type: "string", default: "1" },
    loads: { type: "string", default: loadNames.join(",") },
    peers: { type: "string", default: "" },
    before: { type: "string" }
  }
})
const [rounds, starts] = [Number(values.rounds), Number(values.starts)]
if (!(rounds >= 1 && starts >= 1)) throw new Error("--rounds and --starts are numbers from 1 on")
const wantedLoads = values.loads.split(",") as Array<LoadName>

const installed = (program: string): boolean => {
  try {
    execFileSync("which", [process.env[`EDGE_${program.toUpperCase()}`] ?? program])
    return true
  } catch {
    return false
  }
}

const chosen =
  values.peers === "" ? peerNames.filter((name) => name === "nginx" || installed(name)) : (values.peers.split(",") as Array<Peer>)

type Rounds = ReadonlyMap<string, Array<Round>>

/** Caches and the JIT. In rounds like those that count: what V8 sees first in one of these, such as the end of a load's connections, it compiles anew in it. */
const warm = async (subject: Subject, load: Load): Promise<void> => {
  for (let second = 0; second < (load.warmSeconds ?? 10); second++) await measure(subject, load, 1)
}

const compare = async (subjects: ReadonlyArray<Subject>, name: LoadName, results: Rounds): Promise<void> => {
  const load = loads[name]
  for (const subject of subjects) await warm(subject, load)
  for (let round = 0; round < Math.ceil(rounds / starts); round++)
    for (const subject of subjects) results.get(subject.name)!.push(await measure(subject, load, 1))
}

/** Of a core. Whoever had less was held back, by its load or by other guests of the host, and spent more on each request. */
const fullCore = 0.8
const isFull = ({ busy }: Round): boolean => busy >= fullCore

/** The memory is that of the last start. */
const print = (subjects: ReadonlyArray<Subject>, name: LoadName, results: Rounds): void => {
  console.log(`\n${loads[name].title}`)
  for (const { name: subject, pid } of subjects) {
    const own = results.get(subject)!
    const beside = (other: string) => {
      if (other === subject || !results.has(other)) return ""
      const others = results.get(other)!
      const full = own.flatMap((round, at) => (isFull(round) && isFull(others[at]!) ? [round.micros / others[at]!.micros] : []))
      const ofFull = full.length === 0 ? "" : `, ${shown(quartilesOf(full))} of the ${full.length} pairs with both busy ${fullCore}`
      return `, ${other} = 1: ${shown(quartilesOf(ratiosOf(own, others)))}${ofFull}`
    }
    console.log(
      `  ${subject.padEnd(8)} ${shown(quartilesOf(own.map((each) => each.micros)))} µs${beside("nginx")}${beside("before")}, ` +
        `${Math.round(quartilesOf(own.map((each) => each.rate)).median)}/s, busy ${shown(quartilesOf(own.map((each) => each.busy)))}, ` +
        `failed ${own.reduce((sum, each) => sum + each.failed, 0)}, RSS ${residentMebibytes(pid)} MiB`
    )
  }
}

const results = new Map<LoadName, Rounds>()
for (let start = 1; start <= starts; start++) {
  const processes = new Processes()
  try {
    const subjects = await startSubjects(processes, { peers: chosen, before: values.before })
    for (const name of wantedLoads) {
      const known = results.get(name) ?? new Map(subjects.map((subject) => [subject.name, [] as Array<Round>]))
      results.set(name, known)
      await compare(subjects, name, known)
      if (start === starts) print(subjects, name, known)
    }
  } finally {
    await processes.end()
  }
}
if (wantedLoads.length === loadNames.length) judge(results, { rounds, starts, peers: chosen })
