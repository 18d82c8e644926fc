/** What the router's CPU per request is held to, as multiples of each peer's, and the table that says whether it is so. */
import { execFileSync } from "node:child_process"
import { type Row, report } from "../report.ts"
import { type LoadName, loads, type Round } from "./load.ts"
import { congestionControl } from "./ownNetwork.ts"
import { quartilesOf, ratiosOf } from "./statistics.ts"
import type { Peer } from "./subjects.ts"

export type Results = Map<LoadName, ReadonlyMap<string, ReadonlyArray<Round>>>

const goals: Readonly<Record<LoadName, Partial<Record<Peer, number>>>> = {
  h1: { nginx: 1.55, haproxy: 1.4, caddy: 0.4 },
  h1browser: {}, // recorded only
  h2: { nginx: 0.75, haproxy: 0.7, caddy: 0.13 },
  browser: {}, // recorded only
  handshake: { nginx: 1.25, haproxy: 1.25, caddy: 1.2 },
  megabyte: { nginx: 0.9, haproxy: 1.8 },
  h2megabyte: {} // recorded only
}

const versionOf: Readonly<Record<Peer, readonly [string, ...ReadonlyArray<string>]>> = {
  nginx: ["nginx", "-v"],
  haproxy: ["haproxy", "-v"],
  caddy: ["caddy", "version"]
}

const version = (peer: Peer): string => {
  const [program, ...parameters] = versionOf[peer]
  try {
    const text = execFileSync("sh", [
      "-c",
      '"$0" "$@" 2>&1',
      process.env[`EDGE_${peer.toUpperCase()}`] ?? program,
      ...parameters
    ]).toString()
    return /[0-9]+\.[0-9]+\.[0-9]+/.exec(text)?.[0] ?? "unknown"
  } catch {
    return "unknown"
  }
}

/** Prints the table and writes `bench/results/edge.json`. */
export const judge = (
  results: Results,
  run: { readonly rounds: number; readonly starts: number; readonly peers: ReadonlyArray<Peer> }
): boolean => {
  const rows: Array<Row> = []
  for (const [name, byEdge] of results) {
    const own = byEdge.get("router")!
    for (const peer of run.peers) {
      const ratio = quartilesOf(ratiosOf(own, byEdge.get(peer)!)).median
      const goal = goals[name][peer]
      rows.push({
        what: `${loads[name].title}: CPU, ${peer} = 1`,
        value: ratio,
        unit: "×",
        ...(goal === undefined ? {} : { target: { atMost: goal } })
      })
    }
    rows.push({ what: `${loads[name].title}: CPU of the router`, value: quartilesOf(own.map((each) => each.micros)).median, unit: "µs" })
    rows.push({ what: `${loads[name].title}: router busy`, value: quartilesOf(own.map((each) => each.busy)).median, unit: "core" })
  }
  console.log("")
  return report(
    "edge",
    { rounds: run.rounds, starts: run.starts, congestionControl, ...Object.fromEntries(run.peers.map((peer) => [peer, version(peer)])) },
    rows
  )
}
