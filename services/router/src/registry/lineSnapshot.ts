/**
 * The snapshot's first form, JSON lines: read once after an update, written no more.
 *
 * Owns: reading and removing `base.jsonl` and `journal.jsonl`. A torn last line is passed over.
 */
import { createReadStream, existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Registry } from "./Registry.ts"
import type { RegistryChange } from "./RegistryJournal.ts"

const names = ["base.jsonl", "journal.jsonl"]

export const hasLines = (folder: string): boolean => names.some((name) => existsSync(join(folder, name)))

/** True when it is done. */
export const readLines = async (folder: string, registry: Registry): Promise<boolean> => {
  for (const path of names.map((name) => join(folder, name)).filter((each) => existsSync(each)))
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      const change = parse(line)
      if (change !== undefined) registry.holdings.restore(change)
    }
  return true
}

export const removeLines = (folder: string): void => {
  for (const name of names) rmSync(join(folder, name), { force: true })
}

const parse = (line: string): RegistryChange | undefined => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
