/** E16: more changes than memory is kept for, while the disk takes none. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { numberedEntry } from "../testing/entries.ts"
import { Frames, Journal, readJournal } from "./Journal.ts"
import { JournalWriter } from "./JournalWriter.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "journal-writer-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

it("E16: says that changes are lost to the journal, and writes again when the disk does", async () => {
  const path = join(folder, "journal-1.bin")
  mkdirSync(path)
  let losses = 0
  const writer = new JournalWriter(path, { grown: () => {}, lost: () => losses++ })
  const large = { pad: "x".repeat(8 * 1024 * 1024) }
  const put = (at: number, flags = {}) => writer.put({ hostname: numberedEntry(at, `n${at}.test`, { flags }) })
  put(0)
  await expect(writer.sync()).rejects.toThrow("EISDIR")
  expect([losses, writer.problem]).toEqual([0, expect.stringContaining("EISDIR")])
  for (let at = 1; at < 9; at++) put(at, large)
  expect(losses).toBe(1)
  rmSync(path, { recursive: true })
  // Nothing waits any more: the base that is to bring what was lost must not fail for what is over.
  await writer.sync()
  expect(writer.problem).toBeUndefined()
  put(9)
  await writer.close()
  const names: Array<string> = []
  expect(readJournal(path, (change) => names.push("hostname" in change ? change.hostname.hostname : "other"))).toBe(0)
  // The first may just have been on its way.
  expect(names.filter((name) => name !== "n0.test")).toEqual(["n9.test"])
})

it("E16: changes of any size stand in the file in their order, also those put behind others that had to wait, in blocks that are used again", async () => {
  const path = join(folder, "journal-1.bin")
  const journal = new Journal(path)
  const [waiting, later] = [new Frames(), new Frames()]
  const sizes = [10, 300_000, 20, 0, 200_000, 100_000, 1_000_000, 5]
  const expected: Array<string> = []
  const put = (frames: Frames, name: string, size: number) => frames.put({ dropped: `${name}-${"ü".repeat(size)}` })
  for (let round = 0; round < 3; round++) {
    sizes.forEach((size, at) => void put(waiting, `${round}-waited-${at}`, size))
    sizes.forEach((size, at) => void put(later, `${round}-later-${at}`, size))
    waiting.append(later)
    await journal.append(waiting)
    for (const kind of ["waited", "later"]) expected.push(...sizes.map((size, at) => `${round}-${kind}-${at}-${size}`))
    for (const frames of [waiting, later]) frames.clear()
  }
  await journal.close()
  const found: Array<string> = []
  const torn = readJournal(path, (change) => {
    const text = "dropped" in change ? change.dropped : ""
    found.push(`${text.replaceAll("ü", "")}${text.split("ü").length - 1}`)
  })
  expect(torn).toBe(0)
  expect(found).toEqual(expected)
})
