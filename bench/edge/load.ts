/**
 * One round of load against one edge, and what the edge spent on it.
 *
 * Owns: the kinds of load, CPU per request by the scheduler's accounting. Leaves to `run.ts`: rounds and comparisons.
 */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { cpuOfTree } from "./cpuOf.ts"
import type { Subject } from "./subjects.ts"

const run = promisify(execFile)

export interface Load {
  readonly title: string
  /** Asked for in turn. */
  readonly paths: ReadonlyArray<string>
  /** Arguments of h2load besides duration and address. */
  readonly arguments: ReadonlyArray<string>
  /** A new connection for each request: h2load can't do that for a time, so these many are made at once, again and again. */
  readonly burst?: number
  /** Before it is measured; 10 by default. Handshakes are few, and V8 compiles by count. */
  readonly warmSeconds?: number
}

export const loadNames = ["h1", "h1browser", "h2", "browser", "handshake", "megabyte", "h2megabyte"] as const
export type LoadName = (typeof loadNames)[number]

/** What a browser says of itself with every request; all of it is in HPACK's table after the first. */
const browserFields = [
  ...["user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"],
  ...['sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"', "sec-ch-ua-mobile: ?0", 'sec-ch-ua-platform: "Linux"'],
  ...["sec-fetch-site: same-origin", "sec-fetch-mode: cors", "sec-fetch-dest: empty", "accept: */*", "priority: u=1, i"],
  ...[
    "accept-encoding: gzip, deflate, br, zstd",
    "accept-language: en-US,en;q=0.9,de;q=0.8",
    "referer: https://bench.example.org/a/page?of=it"
  ],
  "cookie: session=0123456789abcdefghijklmnopqrstuvwxyz; theme=dark; consent=yes"
].flatMap((field) => ["-H", field])
const pages = Array.from({ length: 16 }, (_, page) => `kilobyte?page=${page}`)

export const loads: Readonly<Record<LoadName, Load>> = {
  h1: { title: "HTTP/1.1, 64 connections, 1 kB", paths: ["kilobyte"], arguments: ["--h1", "-c", "64"] },
  h1browser: {
    title: "HTTP/1.1, 64 connections, 1 kB, a browser's fields and changing paths",
    paths: pages,
    arguments: ["--h1", "-c", "64", ...browserFields]
  },
  h2: { title: "HTTP/2, 16 connections × 16 streams, 1 kB", paths: ["kilobyte"], arguments: ["-c", "16", "-m", "16"] },
  browser: {
    title: "HTTP/2, 16 connections × 16 streams, 1 kB, a browser's fields and changing paths",
    paths: pages,
    arguments: ["-c", "16", "-m", "16", ...browserFields]
  },
  handshake: { title: "full TLS 1.3 handshake and one request", paths: ["kilobyte"], arguments: ["--h1"], burst: 150, warmSeconds: 12 },
  megabyte: { title: "HTTP/1.1, 16 connections, 1 MB", paths: ["megabyte"], arguments: ["--h1", "-c", "16"] },
  h2megabyte: {
    title: "HTTP/2, 4 connections × 4 streams, 1 MB, windows of 16 MiB",
    paths: ["megabyte"],
    arguments: ["-c", "4", "-m", "4", "-w", "24", "-W", "24"]
  }
}

/** Microseconds of edge CPU per request, requests a second, the share of the core that the edge was busy. */
export interface Round {
  readonly micros: number
  readonly rate: number
  readonly busy: number
  readonly failed: number
}

const answered = (output: string): { readonly done: number; readonly failed: number } => {
  const counts = /requests: [0-9]+ total, [0-9]+ started, [0-9]+ done, ([0-9]+) succeeded, ([0-9]+) failed/.exec(output)
  const status = /status codes: ([0-9]+) 2xx/.exec(output)
  return { done: Number(status?.[1] ?? counts?.[1] ?? 0), failed: Number(counts?.[2] ?? 0) }
}

const h2load = async ({ port }: Pick<Subject, "port">, load: Load, more: ReadonlyArray<string>) => {
  const target = ["--connect-to", `127.0.0.1:${port}`, ...load.paths.map((path) => `https://bench.example.org:${port}/${path}`)]
  const { stdout } = await run("taskset", ["-c", "1", "h2load", ...load.arguments, "-t", "1", ...more, ...target])
  return answered(stdout)
}

/** So many, or a few more; returns how many were answered. */
export const requests = async (port: number, load: Load, count: number): Promise<number> => {
  if (load.burst === undefined) return (await h2load({ port }, load, ["-n", String(count)])).done
  let done = 0
  while (done < count) done += (await h2load({ port }, load, ["-c", String(load.burst), "-n", String(load.burst)])).done
  return done
}

/** At least `seconds` of load. */
export const measure = async (subject: Subject, load: Load, seconds: number): Promise<Round> => {
  const before = cpuOfTree(subject.pid)
  const began = performance.now()
  let done = 0
  let failed = 0
  do {
    const more = load.burst === undefined ? ["-D", String(seconds)] : ["-c", String(load.burst), "-n", String(load.burst)]
    const counts = await h2load(subject, load, more)
    done += counts.done
    failed += counts.failed
  } while (performance.now() - began < seconds * 1000)
  const nanos = cpuOfTree(subject.pid) - before
  const millis = performance.now() - began
  return { micros: nanos / 1000 / done, rate: (done / millis) * 1000, busy: nanos / 1e6 / millis, failed }
}
