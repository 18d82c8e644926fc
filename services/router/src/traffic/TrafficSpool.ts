/**
 * Counts that billing has not confirmed yet: in memory, and in files, so that neither an outage nor `kill -9` loses them.
 *
 * Owns: numbering batches, keeping them until they are confirmed, adding them up when they become many. Leaves to `sendTraffic.ts`: sending. Bounds:
 * a kill loses what was counted since the last interval; more than `maxBatches` unsent batches are added up by hour, then by day, then by month, so that
 * about `maxBatches` remain, or one a month and 1,000 connections, however long an outage lasts.
 * What is kept too long is sent again and found counted, so a file may outlive its batches. The batch that is being sent is never added to another: billing
 * may have counted it. A file of sums names the batches that they are made of, so that a crash before those are gone counts nothing twice.
 */
import { randomUUID } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { open, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { TrafficBatch } from "@connect-domain/messages/traffic.ts"
import { type Counted, mergeBatches, spans } from "./mergeBatches.ts"

/** A batch stays well below NATS's largest message: about 250 bytes a row. */
export const maxRows = 1000
export const maxBatches = 120

/** A file, and how many of its batches are still wanted. */
interface Group {
  readonly name: string
  left: number
}

interface Kept {
  readonly batch: TrafficBatch
  readonly group: Group
}

interface Content {
  readonly batches: ReadonlyArray<TrafficBatch>
  /** Numbers of the same boot's batches that these were made of. */
  readonly replaces: ReadonlyArray<number>
}

export class TrafficSpool {
  /** The last failure to write, in words; undefined while writing works. */
  problem: string | undefined
  private readonly bootId = randomUUID()
  private readonly edgeId: string
  private readonly folder: string | undefined
  private sequence = 0
  /** Of earlier boots first, each boot's in order. */
  private kept: ReadonlyArray<Kept> = []
  private sending: Kept | undefined
  private shrinking = false

  /** `folder`: absent, everything is in memory only. Reads what an earlier process left there. */
  constructor(edgeId: string, folder: string | undefined) {
    this.edgeId = edgeId
    this.folder = folder
    if (folder === undefined) return
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.kept = readKept(folder)
  }

  /** Batches that are not confirmed. */
  get size(): number {
    return this.kept.length
  }

  /** Keeps these counts. Resolves when the disk has them, or can't have them (`problem`): then memory has. One call at a time. */
  async add(counted: Counted): Promise<void> {
    const batches = this.number([counted])
    const group = await this.write({ batches, replaces: [] })
    this.kept = [...this.kept, ...batches.map((batch) => ({ batch, group }))]
    if (this.kept.length > maxBatches) await this.shrink()
  }

  private number(all: ReadonlyArray<Counted>): Array<TrafficBatch> {
    const batches: Array<TrafficBatch> = []
    for (const { at, rows } of all)
      for (let from = 0; from < rows.length; from += maxRows)
        batches.push({ edge_id: this.edgeId, boot_id: this.bootId, sequence: ++this.sequence, at, rows: rows.slice(from, from + maxRows) })
    return batches
  }

  /** The oldest, the same one until it is confirmed; undefined while there is none, or none may be begun. */
  next(): TrafficBatch | undefined {
    if (this.sending === undefined && !this.shrinking) this.sending = this.kept[0]
    return this.sending?.batch
  }

  /** The batch that `next` gave was counted, or never will be. */
  async confirmed(): Promise<void> {
    const { sending } = this
    if (sending === undefined) return
    this.kept = this.kept.filter((kept) => kept !== sending)
    this.sending = undefined
    await this.let(sending.group)
  }

  /** Adds up this boot's batches that were never sent, by ever longer spans, until they are few. */
  private async shrink(): Promise<void> {
    const loose = this.kept.filter((kept) => kept.batch.boot_id === this.bootId && kept !== this.sending)
    if (loose.length < 2) return
    this.shrinking = true
    let merged: Array<Counted> = []
    for (const span of spans) {
      merged = mergeBatches(
        loose.map(({ batch }) => batch),
        span
      )
      if (merged.reduce((sum, { rows }) => sum + Math.ceil(rows.length / maxRows), 0) <= maxBatches / 2) break
    }
    const batches = this.number(merged)
    const group = await this.write({ batches, replaces: loose.map(({ batch }) => batch.sequence) })
    const gone = new Set(loose)
    this.kept = [...this.kept.filter((kept) => !gone.has(kept)), ...batches.map((batch) => ({ batch, group }))]
    this.shrinking = false
    for (const kept of loose) await this.let(kept.group)
  }

  private async write(content: Content): Promise<Group> {
    const { batches } = content
    const name = `${this.bootId}.${String(batches[0]?.sequence ?? 0).padStart(12, "0")}.json`
    const group = { name, left: batches.length }
    if (this.folder === undefined) return group
    try {
      const path = join(this.folder, name)
      const file = await open(`${path}.new`, "w", 0o600)
      try {
        await file.writeFile(JSON.stringify(content))
        await file.datasync()
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
      this.problem = undefined
    } catch (error) {
      this.problem = String(error)
    }
    return group
  }

  /** One batch less is wanted of this file; after the last it goes. */
  private async let(group: Group): Promise<void> {
    group.left--
    if (group.left > 0 || this.folder === undefined) return
    await rm(join(this.folder, group.name), { force: true }).catch((error: unknown) => {
      this.problem = String(error)
    })
  }
}

const parse = (text: string): Content | undefined => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const readKept = (folder: string): ReadonlyArray<Kept> => {
  const files = readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const content = name.endsWith(".json") ? parse(readFileSync(join(folder, name), "utf8")) : undefined
      return content === undefined ? [{ name, batches: [], replaces: [] }] : [{ name, ...content }]
    })
  const idOf = (boot: string | undefined, sequence: number) => `${boot} ${sequence}`
  const replaced = new Set(files.flatMap(({ batches, replaces }) => replaces.map((sequence) => idOf(batches[0]?.boot_id, sequence))))
  return files.flatMap(({ name, batches }) => {
    const wanted = batches.filter(({ boot_id, sequence }) => !replaced.has(idOf(boot_id, sequence)))
    const group = { name, left: wanted.length }
    if (wanted.length === 0) rmSync(join(folder, name), { force: true })
    return wanted.map((batch) => ({ batch, group }))
  })
}
