/**
 * The applications on disk, so that an edge that boots with everything else down redirects, limits and answers as before (E16).
 *
 * Owns: one file beside the registry's snapshot, written whole and renamed into place, soon after a change. There are few applications compared
 * with hostnames, and none of this is secret. Built against: a crash at any point; a file that can't be read is as good as none.
 */
import { mkdirSync, readFileSync } from "node:fs"
import { open, rename } from "node:fs/promises"
import { join } from "node:path"
import { ApplicationEntry } from "@connect-domain/messages/buckets.ts"
import { Result, Schema } from "effect"
import type { Gauge } from "../observe/EdgeMetrics.ts"
import type { Applications } from "./Applications.ts"

const delayMillis = 200
const decode = Schema.decodeUnknownResult(ApplicationEntry)

export class ApplicationsFile {
  /** The last failure to write, in words; undefined while writing works. */
  problem: string | undefined
  private readonly path: string
  private readonly applications: Applications
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()

  constructor(folder: string, applications: Applications) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.path = join(folder, "applications.jsonl")
    this.applications = applications
  }

  /** Fills the applications, and writes their changes from now on. Returns how many there were. */
  load(): number {
    let text = ""
    try {
      text = readFileSync(this.path, "utf8")
    } catch {
      // the first start here
    }
    for (const line of text.split("\n")) {
      const entry = parseLine(line)
      if (entry !== undefined) this.applications.put(entry)
    }
    this.applications.onChange = () => this.changed()
    return this.applications.size
  }

  private changed(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.writing = this.writing.then(() => this.write())
    }, delayMillis)
  }

  private async write(): Promise<void> {
    try {
      const lines = [...this.applications.entries()].map((entry) => `${JSON.stringify(entry)}\n`)
      // Another process of the machine may write the same file.
      const temporary = `${this.path}.${process.pid}.new`
      const file = await open(temporary, "w", 0o600)
      try {
        await file.writeFile(lines.join(""))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.path)
      this.problem = undefined
    } catch (error) {
      this.problem = String(error)
    }
  }

  /** Writes what is still held back. */
  async close(): Promise<void> {
    this.applications.onChange = () => {}
    const due = this.timer !== undefined
    clearTimeout(this.timer)
    this.timer = undefined
    await this.writing
    if (due) await this.write()
  }
}

const gauge = (name: string, help: string, read: () => number): Gauge => ({ name, help, type: "gauge", read })

/** For the metrics page. `file`: none without a folder for it. */
export const applicationGauges = (applications: Applications, file: ApplicationsFile | undefined): ReadonlyArray<Gauge> => [
  gauge("edge_applications", "Applications that are known.", () => applications.size),
  gauge("edge_applications_unsaved", "1 while they can't be written to the disk.", () => Number(file?.problem !== undefined))
]

const parseLine = (line: string): ApplicationEntry | undefined => {
  if (line === "") return undefined
  try {
    const read = decode(JSON.parse(line))
    return Result.isSuccess(read) ? read.success : undefined
  } catch {
    return undefined
  }
}
