/**
 * Counts that billing has not confirmed yet: in memory, and in files, so that neither an outage nor `kill -9` loses them.
 *
 * Owns: numbering batches, keeping them until they are confirmed, adding them up when they become many. Leaves to `sendTraffic.ts`: sending; to
 * `trafficFiles.ts`: the disk. Bounds: a kill loses what was counted since the last interval; more than `maxBatches` unsent batches are added up by
 * hour, then by day, then by month, so that about `maxBatches` remain, or one a month and 1,000 connections, however long an outage lasts.
 * What the disk does not take waits in memory and is written first as soon as it does. Sums that it does not take replace nothing that it has: what
 * is only in memory is added up by itself, so an outage on a full disk keeps at most another `maxBatches`.
 * What is kept too long is sent again and found counted, so a file may outlive its batches. The batch that is being sent is never added to another: billing
 * may have counted it. A file of sums names the batches that they are made of, so that a crash before those are gone counts nothing twice.
 */
import { randomUUID } from "node:crypto"
import type { TrafficBatch } from "@connect-domain/messages/traffic.ts"
import { type Counted, mergeBatches, spans } from "./mergeBatches.ts"
import { type Content, readBoots, removeFile, writeFile } from "./trafficFiles.ts"

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

export class TrafficSpool {
  private readonly bootId = randomUUID()
  private readonly edgeId: string
  private readonly folder: string | undefined
  private sequence = 0
  /** Of earlier boots first, each boot's in order. */
  private kept: ReadonlyArray<Kept> = []
  private sending: Kept | undefined
  private shrinking = false
  /** Boots whose files need not be read (again). */
  private readonly boots = new Set<string>([this.bootId])
  /** Why files of earlier boots could not be read. */
  private unread: string | undefined
  /** What the disk has not taken. */
  private readonly unwritten = new Map<Group, Content>()
  private refusal = ""
  /** What changes the files, one after the other. */
  private work: Promise<void> = Promise.resolve()

  /** `folder`: absent, everything is in memory only. Reads what earlier processes left there. */
  constructor(edgeId: string, folder: string | undefined) {
    this.edgeId = edgeId
    this.folder = folder
    this.recover()
  }

  /** Batches that are not confirmed. */
  get size(): number {
    return this.kept.length
  }

  /** Why a kill would lose counts, or earlier ones wait for the disk; undefined while nothing of either kind is so. */
  get problem(): string | undefined {
    return this.unread ?? (this.unwritten.size > 0 ? this.refusal : undefined)
  }

  private recover(): void {
    if (this.folder === undefined) return
    const { boots, problem } = readBoots(this.folder, this.boots)
    this.unread = problem
    const earlier = boots.flatMap(({ boot, files }) => {
      this.boots.add(boot)
      return files.flatMap(({ name, batches }) => {
        const group = { name, left: batches.length }
        return batches.map((batch) => ({ batch, group }))
      })
    })
    this.kept = [...earlier, ...this.kept]
  }

  /** Keeps these counts. Resolves when the disk has them, or can't have them (`problem`): then memory has. */
  add(counted: Counted): Promise<void> {
    return this.inTurn(() => this.keep(counted))
  }

  /** The batch that `next` gave was counted, or never will be. */
  confirmed(): Promise<void> {
    return this.inTurn(async () => {
      const { sending } = this
      if (sending === undefined) return
      this.kept = this.kept.filter((kept) => kept !== sending)
      this.sending = undefined
      await this.let(sending.group)
    })
  }

  /** Billing takes lower numbers for repetitions: batches have to stand in the order of theirs, so nothing overtakes a write. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    this.work = this.work.then(work, work)
    return this.work
  }

  private async keep(counted: Counted): Promise<void> {
    if (this.problem !== undefined) await this.retry()
    const batches = this.number([counted])
    const group = await this.write({ batches, replaces: [] })
    this.kept = [...this.kept, ...batches.map((batch) => ({ batch, group }))]
    if (this.kept.length <= maxBatches) return
    this.shrinking = true
    const loose = this.kept.filter((kept) => kept.batch.boot_id === this.bootId && kept !== this.sending)
    if (this.unwritten.size > 0 || !(await this.shrink(loose))) await this.shrink(loose.filter((kept) => this.unwritten.has(kept.group)))
    this.shrinking = false
  }

  private async retry(): Promise<void> {
    if (this.unread !== undefined) this.recover()
    for (const [group, content] of this.unwritten) if (!(await this.store(group, content))) return
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

  /** Adds up this boot's batches that were never sent, by ever longer spans, until they are few. False: the disk has them, and did not take their sums. */
  private async shrink(loose: ReadonlyArray<Kept>): Promise<boolean> {
    if (loose.length < 2) return true
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
    if (this.unwritten.has(group) && loose.some((kept) => !this.unwritten.has(kept.group))) {
      this.unwritten.delete(group)
      return false
    }
    const gone = new Set(loose)
    this.kept = [...this.kept.filter((kept) => !gone.has(kept)), ...batches.map((batch) => ({ batch, group }))]
    for (const kept of loose) await this.let(kept.group)
    return true
  }

  private async write(content: Content): Promise<Group> {
    const { batches } = content
    const group = { name: `${this.bootId}.${String(batches[0]?.sequence ?? 0).padStart(12, "0")}.json`, left: batches.length }
    await this.store(group, content)
    return group
  }

  private async store(group: Group, content: Content): Promise<boolean> {
    const refusal = this.folder === undefined ? undefined : await writeFile(this.folder, group.name, content)
    if (refusal === undefined) {
      this.unwritten.delete(group)
      return true
    }
    this.unwritten.set(group, content)
    this.refusal = refusal
    return false
  }

  /** One batch less is wanted of this file; after the last it goes. */
  private async let(group: Group): Promise<void> {
    group.left--
    if (group.left > 0) return
    const stored = !this.unwritten.delete(group)
    if (stored && this.folder !== undefined) await removeFile(this.folder, group.name)
  }
}
