/** What is given back in the background beside everything else that goes on. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as fc from "fast-check"
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
const pairs = (at: number) => ({ certificate_id: at % 7 === 0 ? null : `cert-${at % 7}`, claim_id: `claim-${at % 3}` })
const entryOf = (at: number, version: number) =>
  numberedEntry(at, `shop${at}.customer${at % 997}.example`, { certificate_id: null, version })

describe("A13: the names that are served with a certificate", () => {
  it("A13: are those that are held and name both it and its claim, whatever was put, removed, moved or read from a base", async () => {
    const step = fc.record({
      at: fc.nat(20),
      what: fc.constantFrom("put", "put", "put", "release", "remove", "empty"),
      pair: fc.nat(20),
      filling: fc.constantFrom(0, 200_000, 300_000)
    })
    const run = fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 80 }), async (steps) => {
      const holdings = new Holdings()
      const oracle = new Map<string, ReturnType<typeof numberedEntry>>()
      for (const { at, what, pair, filling } of steps) {
        const hostname = `n${at}.test`
        if (what === "empty") holdings.names.emptyOne()
        else if (what === "remove") {
          holdings.removeName(hostname)
          oracle.delete(hostname)
        } else {
          const status = what === "put" ? ("held" as const) : ("released" as const)
          const entry = { ...numberedEntry(at, hostname, { ...pairs(pair), status }), flags: { error_page: "x".repeat(filling) } }
          holdings.putName(entry)
          oracle.set(hostname, entry)
        }
      }
      await writeBase(join(folder, "base.bin"), holdings, 1, new AbortController().signal)
      const { holdings: read } = readBase(join(folder, "base.bin"))
      for (let at = 0; at < 21; at++) {
        const { claim_id, certificate_id } = pairs(at)
        if (certificate_id === null) continue
        const due = [...oracle.values()].filter(
          (entry) => entry.status === "held" && entry.certificate_id === certificate_id && entry.claim_id === claim_id
        )
        for (const each of [holdings, read])
          expect([...each.namesServedWith({ certificate_id, claim_id })].sort()).toEqual(due.map(({ hostname }) => hostname).sort())
      }
    })
    await fc.assert(run, { numRuns: 60, endOnFailure: true })
  }, 60_000)
})

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
