/**
 * The spool's files: `<boot>.<first number>.json`.
 *
 * Owns: writing one whole or not at all, and reading what earlier boots left. Leaves to `TrafficSpool.ts`: which are wanted. Nothing here throws: the
 * edge serves without a disk (A11). Built against: a torn file, and a boot of which only some files can be read: what replaces its batches may be
 * in the others, so nothing of it is taken until all can be.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { mkdir, open, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { TrafficBatch } from "@connect-domain/messages/traffic.ts"

export interface Content {
  readonly batches: ReadonlyArray<TrafficBatch>
  /** Numbers of the same boot's batches that these were made of. */
  readonly replaces: ReadonlyArray<number>
}

const madeSo = { recursive: true, mode: 0o700 }

/** Returns why it is not there. */
export const writeFile = async (folder: string, name: string, content: Content): Promise<string | undefined> => {
  const path = join(folder, name)
  try {
    await mkdir(folder, madeSo)
    const file = await open(`${path}.new`, "w", 0o600)
    try {
      await file.writeFile(JSON.stringify(content))
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
    return undefined
  } catch (error) {
    await removeFile(folder, `${name}.new`) // a full disk needs the room
    return String(error)
  }
}

/** A file that stays is read at the next start, sent again, and found counted. */
export const removeFile = (folder: string, name: string): Promise<void> => rm(join(folder, name), { force: true }).catch(() => {})

export interface Boot {
  readonly boot: string
  /** Batches that are still wanted, by file. */
  readonly files: ReadonlyArray<{ readonly name: string; readonly batches: ReadonlyArray<TrafficBatch> }>
}

/** Makes the folder. What was left there by others than the boots `known`, and why it is not everything. Removes files of which nothing is wanted. */
export const readBoots = (
  folder: string,
  known: ReadonlySet<string>
): { readonly boots: ReadonlyArray<Boot>; readonly problem?: string } => {
  const boots: Array<Boot> = []
  let problem: string | undefined
  const attempt = (work: () => void) => {
    try {
      work()
    } catch (error) {
      problem ??= String(error)
    }
  }
  attempt(() => {
    mkdirSync(folder, madeSo)
    for (const [boot, names] of Map.groupBy(readdirSync(folder).sort(), (name) => name.split(".")[0]!))
      if (!known.has(boot)) attempt(() => boots.push({ boot, files: readBoot(folder, names) }))
  })
  return problem === undefined ? { boots } : { boots, problem }
}

const readBoot = (folder: string, names: ReadonlyArray<string>): Boot["files"] => {
  const files = names.map((name) => ({ name, ...(name.endsWith(".json") ? parse(readFileSync(join(folder, name), "utf8")) : nothing) }))
  const replaced = new Set(files.flatMap(({ replaces }) => replaces))
  return files.flatMap(({ name, batches }) => {
    const wanted = batches.filter(({ sequence }) => !replaced.has(sequence))
    if (wanted.length > 0) return [{ name, batches: wanted }]
    try {
      rmSync(join(folder, name), { force: true })
    } catch {} // as in `removeFile`
    return []
  })
}

const nothing: Content = { batches: [], replaces: [] }

/** What is torn was never whole: a file gets its name when it is. */
const parse = (text: string): Content => {
  try {
    return JSON.parse(text)
  } catch {
    return nothing
  }
}
