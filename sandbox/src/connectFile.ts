/**
 * `./dev connect --file <list>`: imports many hostnames (one a line), playing every customer, and waits until each is at least being
 * issued a certificate.
 *
 * Owns: the import: bounded concurrency, DNS written in batches per zone, two bars. Leaves to the API: each create.
 * Built against: an import that stops at the first refused line; refusals are collected and printed at the end.
 */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { CustomerDns, type WantedRecord, zoneFor } from "./CustomerDns.ts"
import { devDirectory, Refusal } from "./DevDirectory.ts"
import { recordsToEnter } from "./enterRecords.ts"
import { ProgressBar, say, seconds } from "./progress.ts"
import { type Connection, SandboxApi } from "./SandboxApi.ts"
import { readState } from "./StateFile.ts"

const settled = new Set(["issuing_cert", "live", "drifted"])
const ended = new Set(["failed", "archived"])
const giveUpSeconds = 900
const recordsPerBatch = 400

const readList = (file: string): ReadonlyArray<string> => {
  const path = resolve(process.env.CD_CALLED_FROM ?? process.cwd(), file)
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch {
    throw new Refusal(`${path} can't be read. It should hold one hostname a line; lines that begin with # are left out.`)
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  return [...new Set(lines.filter((line) => line !== "" && !line.startsWith("#")))]
}

const inParallel = async <A>(items: ReadonlyArray<A>, concurrency: number, work: (item: A) => Promise<void>): Promise<void> => {
  let next = 0
  const worker = async () => {
    while (next < items.length) await work(items[next++]!)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
}

/** Collects records per zone and writes each batch with one request. */
class RecordBatches {
  readonly #dns: CustomerDns
  readonly #waiting = new Map<string, Array<WantedRecord>>()

  constructor(dns: CustomerDns) {
    this.#dns = dns
  }

  async add(zone: string, records: ReadonlyArray<WantedRecord>): Promise<void> {
    const waiting = [...(this.#waiting.get(zone) ?? []), ...records]
    this.#waiting.set(zone, waiting.length >= recordsPerBatch ? [] : waiting)
    if (waiting.length >= recordsPerBatch) await this.#dns.put(zone, waiting)
  }

  async flush(): Promise<void> {
    const rest = [...this.#waiting].filter(([, records]) => records.length > 0)
    this.#waiting.clear()
    await inParallel(rest, 8, ([zone, records]) => this.#dns.put(zone, records))
  }
}

const batchStates = async (api: SandboxApi, batch: string): Promise<Map<string, number>> => {
  const counts = new Map<string, number>()
  let cursor: string | null = null
  do {
    const query: string = `/v1/connections?batch_id=${batch}&limit=100${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`
    const page = await api.list<Connection>(query)
    for (const one of page.data) counts.set(one.state, (counts.get(one.state) ?? 0) + 1)
    cursor = page.next_cursor
  } while (cursor !== null)
  return counts
}

const sum = (counts: Map<string, number>, states: ReadonlySet<string>): number =>
  [...counts].reduce((total, [state, count]) => total + (states.has(state) ? count : 0), 0)

const untilSettled = async (api: SandboxApi, batch: string, total: number): Promise<Map<string, number>> => {
  const bar = new ProgressBar("certificates", total)
  const limit = Date.now() + giveUpSeconds * 1_000
  for (;;) {
    const counts = await batchStates(api, batch)
    const arrived = sum(counts, settled)
    bar.set(arrived, [...counts].map(([state, count]) => `${count} ${state}`).join(", "))
    if (arrived + sum(counts, ended) >= total || Date.now() > limit) {
      bar.finish()
      return counts
    }
    // A scan of ten thousand rows costs a second of the API: ask less often, the more there are.
    await sleep(Math.max(500, total / 4))
  }
}

export const connectFile = async (file: string, concurrency: number): Promise<number> => {
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 512) throw new Refusal("--concurrency is a number from 1 to 512.")
  const hostnames = readList(file)
  if (hostnames.length === 0) throw new Refusal(`${file} holds no hostname.`)
  const state = readState(devDirectory())
  const api = new SandboxApi(state.api, state.api_key)
  const dns = new CustomerDns(state.dns)
  const batches = new RecordBatches(dns)
  const batch = `import-${Date.now()}`
  const refused: Array<string> = []
  const began = Date.now()
  const bar = new ProgressBar("created     ", hostnames.length)
  let count = 0
  await inParallel(hostnames, concurrency, async (hostname) => {
    try {
      const connection = await api.create({ application_id: state.application_id, hostname, setup_type: "manual", batch_id: batch })
      await batches.add(zoneFor(hostname), recordsToEnter(connection))
    } catch (error) {
      refused.push(`${hostname}: ${(error as Error).message}`)
    }
    bar.set(++count, refused.length > 0 ? `${refused.length} refused` : "")
  })
  await batches.flush()
  bar.finish()
  const accepted = hostnames.length - refused.length
  const createdAfter = Date.now() - began
  say(`  ${accepted} created in ${seconds(createdAfter)}: ${Math.round((accepted / createdAfter) * 1000)} a second`)
  const counts = await untilSettled(api, batch, accepted)
  const arrived = sum(counts, settled)
  say(`  ${arrived} of ${accepted} have reached issuing_cert or live after ${seconds(Date.now() - began)}`)
  for (const line of refused.slice(0, 20)) say(`  refused: ${line}`)
  if (refused.length > 20) say(`  ... and ${refused.length - 20} more`)
  return arrived === hostnames.length ? 0 : 1
}
