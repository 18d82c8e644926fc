/**
 * The registry on disk, so that an edge boots with everything else down (requirements A11, E16).
 *
 * Owns: which files there are, when the base is written anew, what happens to files that can't be used. Certificate keys stay sealed in all of
 * them. Leaves to `baseFile.ts` and `Journal.ts`: their formats; to `JournalWriter.ts`: getting changes to the disk; to `Registry.ts`: what the
 * entries mean. Built against: kill -9 at any byte, a full or read-only disk (the edge serves on, `problem` says why nothing is written), and a
 * damaged base: it is refused as a whole, put aside until the next one is written, and the buckets are read instead.
 *
 * `base.bin` is written beside itself and renamed into place. `journal-<n>.bin` holds changes; the base says from which n on they count. A new
 * base begins a new journal first, so changes go on while it is written. Beside a refused base no journal counts: what it adds to is not known.
 * A folder belongs to one process.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { rename } from "node:fs/promises"
import { join } from "node:path"
import type { Gauge } from "../observe/EdgeMetrics.ts"
import { readBase, writeBase } from "./baseFile.ts"
import { readJournal } from "./Journal.ts"
import { JournalWriter } from "./JournalWriter.ts"
import { hasLines, readLines, removeLines } from "./lineSnapshot.ts"
import type { Registry } from "./Registry.ts"
import type { RegistryChange, RegistryJournal } from "./RegistryJournal.ts"
import { syncFolder } from "./syncFolder.ts"

/** The journal is folded into the base when it is larger than this and than the base. */
const foldBytes = 64 * 1024 * 1024
/** After a base that could not be written; twice as long after each more, since a base may be a gigabyte. */
const retryMillis = 5000
const maxRetryMillis = 300_000
/** How long the sealed key of a certificate that is gone may stand in these files (A13). */
const forgetMillis = 3_600_000

const journalName = /^journal-(\d{1,15})\.bin$/

/** What `load` found, in words for the log. */
export interface LoadReport {
  readonly problems: ReadonlyArray<string>
}

export class Snapshot implements RegistryJournal {
  private readonly folder: string
  private readonly registry: Registry
  private readonly journal: JournalWriter
  private foldTimer: NodeJS.Timeout | undefined
  private forgetTimer: NodeJS.Timeout | undefined
  private folding: Promise<void> | undefined
  /** What was asked for while one was written: how soon. */
  private foldAgain: number | undefined
  private readonly ending = new AbortController()
  private number = 1
  private baseBytes = 0
  private baseProblem: string | undefined
  /** Bases in a row that could not be written. */
  private failures = 0
  /** Times that changes were lost to the journal: only a base that is begun later has them. */
  private losses = 0

  constructor(folder: string, registry: Registry) {
    this.folder = folder
    this.registry = registry
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.journal = new JournalWriter(this.journalFile(1), {
      grown: (bytes) => {
        if (bytes > Math.max(foldBytes, this.baseBytes)) this.foldSoon(0)
      },
      lost: () => {
        this.losses++
        this.baseProblem = "more changes wait for the disk than memory is kept for: they come with the next base"
        this.foldSoon(0)
      }
    })
  }

  /** Why the disk does not have everything, in words; undefined while it does. */
  get problem(): string | undefined {
    return this.baseProblem ?? this.journal.problem
  }

  private journalFile(number: number): string {
    return this.file(`journal-${number}.bin`)
  }

  private file(name: string): string {
    return join(this.folder, name)
  }

  private journals(): ReadonlyArray<number> {
    const numbers = readdirSync(this.folder).flatMap((name) => journalName.exec(name)?.[1] ?? [])
    return numbers.map(Number).sort((a, b) => a - b)
  }

  /** Reads what there is into the registry, and writes every change from now on. Rejects only when the folder can't be read. */
  async load(): Promise<LoadReport> {
    const problems: Array<string> = []
    discard(this.file("base.new"))
    const from = this.loadBase(problems)
    const numbers = this.journals()
    let [replayed, gone] = [0, false]
    for (const number of numbers) {
      const path = this.journalFile(number)
      if (from === undefined || number < from) {
        discard(path)
        continue
      }
      const torn = readJournal(path, (change) => {
        gone ||= "certificateGone" in change
        this.registry.holdings.restore(change)
      })
      if (torn > 0) problems.push(`the last ${torn} bytes of ${path} are no whole change and are passed over`)
      replayed += statSync(path).size
    }
    const lines = from === 1 && hasLines(this.folder) && (await readLines(this.folder, this.registry))
    this.number = Math.max(from ?? 1, (numbers.at(-1) ?? 0) + 1)
    this.journal.begin(this.journalFile(this.number))
    this.registry.journal = this
    if (from === undefined || lines || gone || replayed > foldBytes) this.foldSoon(0)
    return { problems }
  }

  /** Gives back the first journal that counts; undefined: none does. */
  private loadBase(problems: Array<string>): number | undefined {
    const [path, refused] = [this.file("base.bin"), this.file("base.refused")]
    if (!existsSync(path)) return existsSync(refused) ? undefined : 1
    try {
      const base = readBase(path)
      this.registry.holdings = base.holdings
      this.baseBytes = base.bytes
      return base.journal
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      problems.push(`${path} is refused (kept as base.refused if the folder can be written): ${why}. The registry is read from NATS.`)
      attempt(() => renameSync(path, refused))
      return undefined
    }
  }

  hostname(hostname: Extract<RegistryChange, { hostname: unknown }>["hostname"]): void {
    this.journal.put({ hostname })
  }
  dropped(dropped: string): void {
    this.journal.put({ dropped })
  }
  certificate(certificate: Extract<RegistryChange, { certificate: unknown }>["certificate"]): void {
    this.journal.put({ certificate })
  }
  completed(completed: string): void {
    this.journal.put({ completed })
  }
  certificateGone(certificateGone: string): void {
    this.journal.put({ certificateGone })
    this.forgetTimer ??= setTimeout(() => {
      this.forgetTimer = undefined
      this.foldSoon(0)
    }, forgetMillis).unref()
  }

  private foldSoon(millis: number): void {
    if (this.ending.signal.aborted) return
    if (this.folding !== undefined) {
      this.foldAgain = Math.min(millis, this.foldAgain ?? millis)
      return
    }
    this.foldTimer ??= setTimeout(() => {
      this.foldTimer = undefined
      this.folding = this.fold().finally(() => {
        this.folding = undefined
        if (this.foldAgain !== undefined) this.foldSoon(this.foldAgain)
        this.foldAgain = undefined
      })
    }, millis)
  }

  /** Writes the registry as it stands to a new base. Changes go on, to a journal of their own. */
  private async fold(): Promise<void> {
    this.number++
    const { number, losses } = this
    this.journal.begin(this.journalFile(number))
    try {
      const bytes = await writeBase(this.file("base.new"), this.registry.holdings, number, this.ending.signal)
      // A name that changed meanwhile may stand on none of the copied pages: the base is good only with the journal of that time.
      await this.journal.sync()
      if (losses !== this.losses) throw new Error("more changes came meanwhile than could be written")
      await rename(this.file("base.new"), this.file("base.bin"))
      await syncFolder(this.folder)
      this.baseBytes = bytes
      // It may hold sealed keys that were destroyed since (A13).
      discard(this.file("base.refused"))
      for (const old of this.journals()) if (old < number) rmSync(this.journalFile(old))
      removeLines(this.folder)
      this.failures = 0
      this.baseProblem = undefined
    } catch (error) {
      discard(this.file("base.new"))
      if (this.ending.signal.aborted) return
      this.baseProblem = String(error)
      this.foldSoon(Math.min(retryMillis * 2 ** this.failures++, maxRetryMillis))
    }
  }

  /** Writes what is still held back. A base that is being written is given up: the journals have everything. */
  async close(): Promise<void> {
    this.ending.abort()
    clearTimeout(this.foldTimer)
    clearTimeout(this.forgetTimer)
    await this.folding
    await this.journal.close()
  }
}

/** In a folder that can't be written, what could not be put away is passed over at the next start just as it was at this one. */
const attempt = (change: () => void): void => {
  try {
    change()
  } catch {
    // `problem` tells as soon as something has to be written
  }
}
const discard = (path: string): void => attempt(() => rmSync(path, { force: true }))

/** For the metrics page. `snapshot`: none without a folder for it. */
export const snapshotGauges = (snapshot: Snapshot | undefined): ReadonlyArray<Gauge> => [
  {
    name: "edge_snapshot_unsaved",
    help: "1 while the registry's changes can't be written to the disk: a restart without NATS would miss them.",
    type: "gauge",
    read: () => Number(snapshot?.problem !== undefined)
  }
]
