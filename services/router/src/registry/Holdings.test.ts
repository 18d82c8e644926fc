/** What is given back in the background beside everything else that goes on. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { numberedEntry } from "../testing/entries.ts"
import { readBase, writeBase } from "./baseFile.ts"
import { Holdings } from "./Holdings.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdings-"))
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true })
})

const many = 60_000
const entryOf = (at: number, version: number) =>
  numberedEntry(at, `shop${at}.customer${at % 997}.example`, { certificate_id: null, version })

describe("E16: a base that begins when memory is about to be given back", () => {
  it("E16: has every name, also those of pages that are worth emptying", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] })
    const holdings = new Holdings()
    for (let at = 0; at < many; at++) holdings.putName(entryOf(at, 1))
    for (let at = 0; at < many; at++) if (at % 10 !== 9) holdings.putName(entryOf(at, 2))
    expect(holdings.names.pages.worthEmptying).toBe(true)
    const writing = writeBase(join(folder, "base.bin"), holdings, 1, new AbortController().signal)
    vi.runAllTimers()
    await writing
    const { holdings: read } = readBase(join(folder, "base.bin"))
    const lost = Array.from({ length: many }, (_, at) => at).filter((at) => read.name(entryOf(at, 1).hostname) === undefined)
    expect([lost.length, read.held]).toEqual([0, many])
    // What did not go then goes later.
    holdings.putName(entryOf(0, 3))
    const before = holdings.bytes
    vi.runAllTimers()
    expect(holdings.bytes).toBeLessThan(before)
  })
})
