/**
 * The registry on disk, so that an edge boots with everything else down (requirements A11, E16).
 *
 * Owns: a base file, written whole and renamed into place, and a journal of the changes since. Certificate keys stay sealed in both.
 * Leaves to `Registry.ts`: what the entries mean. Built against: a crash at any point. A torn last line of the journal is ignored, a base file
 * is complete or does not exist under its name.
 */
import { createReadStream, existsSync, mkdirSync } from "node:fs"
import { type FileHandle, open, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Registry, RegistryJournal } from "./Registry.ts"

const flushMillis = 50
/** The journal is folded into the base when it is larger than this and than the base. */
const compactBytes = 4 * 1024 * 1024

export class Snapshot implements RegistryJournal {
  /** The last failure to write, in words; undefined while writing works. */
  problem: string | undefined
  private readonly folder: string
  private readonly registry: Registry
  private lines: Array<string> = []
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()
  private handle: FileHandle | undefined
  private journalBytes = 0
  private baseBytes = 0

  constructor(folder: string, registry: Registry) {
    this.folder = folder
    this.registry = registry
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  private file(name: string): string {
    return join(this.folder, name)
  }

  /** Reads base and journal into the registry; returns how many lines they had. */
  async load(): Promise<number> {
    let read = 0
    for (const name of ["base.jsonl", "journal.jsonl"]) {
      if (!existsSync(this.file(name))) continue
      for await (const line of createInterface({ input: createReadStream(this.file(name)), crlfDelay: Number.POSITIVE_INFINITY })) {
        const entry = parseLine(line)
        if (entry === undefined) continue
        this.registry.restore(entry)
        read++
      }
    }
    await this.compact()
    this.registry.journal = this
    return read
  }

  hostname(hostname: unknown): void {
    this.put({ hostname })
  }
  dropped(dropped: string): void {
    this.put({ dropped })
  }
  certificate(certificate: unknown): void {
    this.put({ certificate })
  }
  certificateGone(certificateGone: string): void {
    this.put({ certificateGone })
  }
  meta(): void {}

  private put(entry: object): void {
    this.lines.push(JSON.stringify(entry))
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.writing = this.writing.then(() => this.flush())
    }, flushMillis)
  }

  private async flush(): Promise<void> {
    const lines = this.lines
    if (lines.length === 0) return
    this.lines = []
    try {
      const text = `${lines.join("\n")}\n`
      this.handle ??= await open(this.file("journal.jsonl"), "a", 0o600)
      await this.handle.appendFile(text)
      await this.handle.datasync()
      this.journalBytes += text.length
      this.problem = undefined
      if (this.journalBytes > Math.max(compactBytes, this.baseBytes)) await this.compact()
    } catch (error) {
      this.problem = String(error)
    }
  }

  /** Writes the registry as it stands to a new base; the journal starts again. */
  private async compact(): Promise<void> {
    const temporary = this.file("base.jsonl.new")
    const target = await open(temporary, "w", 0o600)
    this.baseBytes = 0
    this.lines = [] // what they say is in the registry already
    try {
      let batch = ""
      for (const entry of this.registry.contents()) {
        batch += `${JSON.stringify(entry)}\n`
        if (batch.length < 1_000_000) continue
        this.baseBytes += batch.length
        await target.appendFile(batch)
        batch = ""
      }
      this.baseBytes += batch.length
      await target.appendFile(batch)
      await target.sync()
    } finally {
      await target.close()
    }
    await rename(temporary, this.file("base.jsonl"))
    await this.handle?.close()
    this.handle = undefined
    await rm(this.file("journal.jsonl"), { force: true })
    this.journalBytes = 0
  }

  /** Writes what is still held back. */
  async close(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    await this.writing
    await this.flush()
    await this.handle?.close()
    this.handle = undefined
  }
}

const parseLine = (line: string): Parameters<Registry["restore"]>[0] | undefined => {
  if (line === "") return undefined
  try {
    return JSON.parse(line)
  } catch {
    return undefined // the line that was being written when the process ended
  }
}
