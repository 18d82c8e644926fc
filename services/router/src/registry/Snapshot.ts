/**
 * The registry on disk, so that an edge boots with everything else down (requirements A11, E16).
 *
 * Owns: which files there are, when the base is written anew, what happens to files that can't be used. Certificate keys stay sealed in all of
 * them. Leaves to `baseFile.ts` and `Journal.ts`: their formats; to `Registry.ts`: what the entries mean. Built against: kill -9 at any byte,
 * and a damaged base: it is refused as a whole, and the buckets are read instead. Not yet against a full disk: see the README.
 *
 * `base.bin` is written beside itself and renamed into place. `journal-<n>.bin` holds changes; the base says from which n on they count. A new
 * base begins a new journal first, so changes go on while it is written. A folder belongs to one process.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { open, rename } from "node:fs/promises"
import { join } from "node:path"
import { readBase, writeBase } from "./baseFile.ts"
import { frameOf, Journal, readJournal } from "./Journal.ts"
import { hasLines, readLines, removeLines } from "./lineSnapshot.ts"
import type { Registry } from "./Registry.ts"
import type { RegistryChange, RegistryJournal } from "./RegistryJournal.ts"

const flushMillis = 50
/** The journal is folded into the base when it is larger than this and than the base. */
const foldBytes = 64 * 1024 * 1024
/** More than this waiting for the disk is not written to the journal: the next base has it all. */
const maxWaiting = 64 * 1024 * 1024
/** After a failure to write. */
const retryMillis = 5000
/** How long the sealed key of a certificate that is gone may stand in these files (A13). */
const forgetMillis = 3_600_000

const journalName = /^journal-(\d{1,15})\.bin$/

/** What `load` found, in words for the log. */
export interface LoadReport {
  readonly problems: ReadonlyArray<string>
}

export class Snapshot implements RegistryJournal {
  /** The last failure to write, in words; undefined while writing works. */
  problem: string | undefined
  private readonly folder: string
  private readonly registry: Registry
  private waiting: Array<Buffer> = []
  private waitingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private foldTimer: NodeJS.Timeout | undefined
  private forgetTimer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()
  private folding: Promise<void> | undefined
  /** What was asked for while one was written: how soon. */
  private foldAgain: number | undefined
  private readonly ending = new AbortController()
  private number = 1
  private journal: Journal
  private baseBytes = 0

  constructor(folder: string, registry: Registry) {
    this.folder = folder
    this.registry = registry
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.journal = new Journal(this.file("journal-1.bin"))
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
    const from = this.loadBase(problems)
    const numbers = this.journals()
    let [replayed, gone] = [0, false]
    for (const number of numbers) {
      const path = this.file(`journal-${number}.bin`)
      if (from === undefined || number < from) {
        rmSync(path)
        continue
      }
      const torn = readJournal(path, (change) => {
        gone ||= "certificateGone" in change
        this.registry.restore(change)
      })
      if (torn > 0) problems.push(`the last ${torn} bytes of ${path} are no whole change and are passed over`)
      replayed += statSync(path).size
    }
    const lines = from === 1 && hasLines(this.folder) && (await readLines(this.folder, this.registry))
    this.begin(Math.max(from ?? 1, (numbers.at(-1) ?? 0) + 1))
    this.registry.journal = this
    if (lines || gone || replayed > foldBytes) this.foldSoon(0)
    return { problems }
  }

  /** Gives back the first journal that counts; undefined: none does. */
  private loadBase(problems: Array<string>): number | undefined {
    const path = this.file("base.bin")
    if (!existsSync(path)) return 1
    try {
      const base = readBase(path)
      this.registry.holdings = base.holdings
      this.baseBytes = base.bytes
      return base.journal
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      renameSync(path, this.file("base.refused"))
      problems.push(`${path} is refused and now stands beside it as base.refused: ${why}. The registry is read from NATS.`)
      return undefined
    }
  }

  private begin(number: number): void {
    this.number = number
    this.journal = new Journal(this.file(`journal-${number}.bin`))
  }

  hostname(hostname: Extract<RegistryChange, { hostname: unknown }>["hostname"]): void {
    this.put({ hostname })
  }
  dropped(dropped: string): void {
    this.put({ dropped })
  }
  certificate(certificate: Extract<RegistryChange, { certificate: unknown }>["certificate"]): void {
    this.put({ certificate })
  }
  certificateGone(certificateGone: string): void {
    this.put({ certificateGone })
    this.forgetTimer ??= setTimeout(() => {
      this.forgetTimer = undefined
      this.foldSoon(0)
    }, forgetMillis).unref()
  }

  private put(change: RegistryChange): void {
    const frame = frameOf(change)
    this.waiting.push(frame)
    this.waitingBytes += frame.length
    if (this.waitingBytes > maxWaiting) {
      this.forgetWaiting()
      this.foldSoon(0)
    }
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.writing = this.writing.then(() => this.flush())
    }, flushMillis)
  }

  private forgetWaiting(): ReadonlyArray<Buffer> {
    const frames = this.waiting
    this.waiting = []
    this.waitingBytes = 0
    return frames
  }

  private async flush(): Promise<void> {
    const frames = this.forgetWaiting()
    if (frames.length === 0) return
    const { journal } = this
    try {
      await journal.append(frames)
      this.problem = undefined
      if (journal.bytes > Math.max(foldBytes, this.baseBytes)) this.foldSoon(0)
    } catch (error) {
      this.problem = String(error)
      // Half a change may stand at its end: nothing is written behind it, and what is lost comes into the next base.
      await journal.close().catch(() => {})
      if (this.journal === journal) this.begin(this.number + 1)
      this.foldSoon(retryMillis)
    }
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
    const before = this.journal
    this.begin(this.number + 1)
    const { number } = this
    try {
      this.baseBytes = await writeBase(this.file("base.new"), this.registry.holdings, number, this.ending.signal)
      await rename(this.file("base.new"), this.file("base.bin"))
      await this.syncFolder()
      await this.writing
      for (const old of this.journals()) if (old < number) rmSync(this.file(`journal-${old}.bin`))
      removeLines(this.folder)
      this.problem = undefined
    } catch (error) {
      if (this.ending.signal.aborted) return
      this.problem = String(error)
      this.foldSoon(retryMillis)
    } finally {
      await this.writing
      await before.close()
    }
  }

  private async syncFolder(): Promise<void> {
    const folder = await open(this.folder, "r")
    await folder.sync().finally(() => folder.close())
  }

  /** Writes what is still held back. A base that is being written is given up: the journals have everything. */
  async close(): Promise<void> {
    this.ending.abort()
    clearTimeout(this.foldTimer)
    clearTimeout(this.forgetTimer)
    clearTimeout(this.timer)
    this.timer = undefined
    await this.folding
    await this.writing
    await this.flush()
    await this.journal.close()
  }
}
