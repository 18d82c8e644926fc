/** What a snapshot gives back, whatever happened to its files. */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { numberedEntry } from "../testing/entries.ts"
import { certificateEntry, makeAuthority } from "../testing/TestEdge.ts"
import { writeBase } from "./baseFile.ts"
import { Registry } from "./Registry.ts"
import { Snapshot } from "./Snapshot.ts"

let folder: string
let certificate: CertificateEntry
beforeAll(async () => {
  certificate = await certificateEntry(await makeAuthority(), ["n0.test"], { certificate_id: "cert-0", claim_id: "claim-0" })
})
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "snapshot-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

const path = (name: string) => join(folder, name)
const never = new AbortController().signal
const entryOf = (at: number, version = at) => numberedEntry(at, `n${at}.test`, { certificate_id: null, version })

const load = async () => {
  const registry = new Registry()
  const snapshot = new Snapshot(folder, registry)
  return { registry, snapshot, ...(await snapshot.load()) }
}
const namesOf = ({ holdings }: Registry): ReadonlyArray<string> => {
  const names: Array<string> = []
  for (let place = 0, first = true; first || place !== 0; first = false)
    place = holdings.names.pages.visit(place, (ref) => names.push(`${holdings.names.keyOf(ref)} ${holdings.decodeName(ref).version}`))
  return names.sort()
}
/** A folder with names 0 to 9 and a certificate in the base, 10 to 19 in the journal. */
const filled = async () => {
  const one = await load()
  one.registry.putCertificate(certificate)
  for (let at = 0; at < 10; at++) one.registry.putHostname(entryOf(at), at + 1)
  await one.snapshot.close()
  await writeBase(path("base.bin"), one.registry.holdings, 2, never)
  const two = await load()
  for (let at = 10; at < 20; at++) two.registry.putHostname(entryOf(at), at + 1)
  await two.snapshot.close()
  return two.registry
}
const until = async (what: () => boolean) => {
  while (!what()) await new Promise((done) => setTimeout(done, 5))
}
const journalFile = () => path(readdirSync(folder).find((name) => name.startsWith("journal"))!)

describe("E16: the snapshot", () => {
  it("gives back every entry, replacement, removal and certificate", async () => {
    const registry = await filled()
    const again = await load()
    expect(again.problems).toEqual([])
    expect(namesOf(again.registry)).toEqual(namesOf(registry))
    expect(again.registry.size).toBe(20)
    expect(again.registry.certificateOf({ ...entryOf(0), certificate_id: "cert-0", claim_id: "claim-0" })?.sealed_key).toBe(
      certificate.sealed_key
    )
    again.registry.putHostname({ ...entryOf(3, 50), status: "released" }, 1)
    again.registry.deleteCertificate("cert-0")
    await again.snapshot.close()
    const last = await load()
    expect([last.registry.size, last.registry.find("n3.test"), last.registry.hasCertificate("cert-0")]).toEqual([19, undefined, false])
    await last.snapshot.close()
  })

  it("remembers in base and journal which epochs took away what they did not hold", async () => {
    const complete = (registry: Registry, epoch: string, entries: ReadonlyArray<number>) => {
      registry.beginHostnames()
      for (const at of entries) registry.putHostname(entryOf(at), at)
      registry.putMeta({ epoch, complete: true, count: 1 }, 10)
      registry.endHostnames(10)
    }
    const one = await load()
    complete(one.registry, "e1", [1, 2])
    await writeBase(path("base.bin"), one.registry.holdings, 2, never)
    await one.snapshot.close()
    for (const epochs of [["e1"], ["e1", "e2"]]) {
      const again = await load()
      expect(again.registry.holdings.epochs).toEqual(epochs)
      // The bucket lost the second name.
      for (const epoch of epochs) complete(again.registry, epoch, [1])
      expect(again.registry.size).toBe(2)
      complete(again.registry, "e2", [1, 2])
      await again.snapshot.close()
    }
    const last = await load()
    complete(last.registry, "e3", [1])
    expect(last.registry.size).toBe(1)
    await last.snapshot.close()
  })

  it("survives a journal that ends at any byte: what is whole is read, and what comes later is kept", async () => {
    await filled()
    const journal = journalFile()
    const whole = readFileSync(journal)
    let before = 20
    for (let length = whole.length; length >= 0; length -= 1 + (length % 23)) {
      for (const name of readdirSync(folder)) if (name.startsWith("journal")) rmSync(path(name))
      writeFileSync(journal, whole.subarray(0, length))
      const cut = await load()
      expect(cut.registry.size).toBeLessThanOrEqual(before)
      expect(cut.registry.size).toBeGreaterThanOrEqual(10)
      before = cut.registry.size
      cut.registry.putHostname(entryOf(99), 1)
      await cut.snapshot.close()
      const next = await load()
      expect(next.registry.size).toBe(before + 1)
      await next.snapshot.close()
    }
    expect(before).toBe(10)
  }, 60_000)

  it.each([7, 0])("passes over bytes in the journal that are no change: %i", async (byte) => {
    await filled()
    appendFileSync(journalFile(), Buffer.alloc(100, byte))
    const again = await load()
    expect(again.registry.size).toBe(20)
    expect(again.problems).toHaveLength(1)
    await again.snapshot.close()
  })

  it("refuses a base that is cut or altered at any place as a whole, says so, and starts anew", async () => {
    await filled()
    const base = readFileSync(path("base.bin"))
    const damages: Array<() => void> = []
    for (let at = 0; at < base.length; at += 1 + Math.floor(base.length / 60)) {
      damages.push(() => truncateSync(path("base.bin"), at))
      damages.push(() => {
        const bytes = Buffer.from(base)
        bytes[at] = bytes[at]! ^ 16
        writeFileSync(path("base.bin"), bytes)
      })
    }
    for (const damage of damages) {
      writeFileSync(path("base.bin"), base)
      damage()
      const again = await load()
      expect([again.registry.size, again.registry.ready, again.problems.length]).toEqual([0, false, 1])
      expect(again.problems[0]).toContain("is refused")
      again.registry.putHostname(entryOf(5), 1)
      await until(() => readdirSync(folder).includes("base.bin"))
      await again.snapshot.close()
      // It holds sealed keys (A13).
      expect(readdirSync(folder)).not.toContain("base.refused")
      const next = await load()
      expect([namesOf(next.registry), next.problems]).toEqual([["n5.test 5"], []])
      await next.snapshot.close()
      for (const name of readdirSync(folder)) rmSync(path(name))
    }
  }, 60_000)

  it("holds what changes while the base is written: in it or in the next journal", async () => {
    const one = await load()
    for (let at = 0; at < 30_000; at++) one.registry.putHostname(entryOf(at), at + 1)
    let going = true
    const writing = writeBase(path("base.new"), one.registry.holdings, 2, never).finally(() => {
      going = false
    })
    for (let at = 0; going; at++) {
      const entry = at % 3 === 0 ? { ...entryOf(at, 100_000 + at), status: "released" as const } : entryOf(at, 100_000 + at)
      one.registry.putHostname(entry, at + 1)
      if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await writing
    await one.snapshot.close()
    // The changes' journal is number 1 here; as the base's first journal it must be number 2.
    writeFileSync(path("journal-2.bin"), readFileSync(path("journal-1.bin")))
    rmSync(path("journal-1.bin"))
    writeFileSync(path("base.bin"), readFileSync(path("base.new")))
    expect(statSync(path("base.bin")).size).toBeGreaterThan(1_000_000)
    const again = await load()
    expect(namesOf(again.registry)).toEqual(namesOf(one.registry))
    expect(again.registry.size).toBe(one.registry.size)
    await again.snapshot.close()
  }, 60_000)

  it("reads the first form, JSON lines with a torn end, and writes the present one", async () => {
    writeFileSync(path("base.jsonl"), `${JSON.stringify({ certificate })}\n${JSON.stringify({ hostname: entryOf(1) })}\n`)
    writeFileSync(path("journal.jsonl"), `${JSON.stringify({ hostname: entryOf(2) })}\n${JSON.stringify({ dropped: "n1.test" })}\n{"hostna`)
    const again = await load()
    expect([namesOf(again.registry), again.registry.hasCertificate("cert-0")]).toEqual([["n2.test 2"], true])
    await until(() => readdirSync(folder).includes("base.bin") && !readdirSync(folder).includes("base.jsonl"))
    await again.snapshot.close()
    expect((await load()).registry.size).toBe(1)
  })

  it("counts no journal beside a refused base, whatever stopped the start that refused it", async () => {
    await filled()
    renameSync(path("base.bin"), path("base.refused"))
    const again = await load()
    expect([again.registry.size, again.registry.ready]).toEqual([0, false])
    await again.snapshot.close()
  })

  it("starts with a damaged base that can't be put away", async () => {
    await filled()
    truncateSync(path("base.bin"), 30)
    mkdirSync(path("base.refused"))
    const again = await load()
    expect([again.registry.size, again.problems.length]).toEqual([0, 1])
    await again.snapshot.close()
  })

  it("writes what the disk refused before what came later, and tells of it until then", async () => {
    const one = await load()
    mkdirSync(path("journal-1.bin"))
    one.registry.putHostname(entryOf(1), 1)
    await until(() => one.snapshot.problem !== undefined)
    expect(one.snapshot.problem).toContain("EISDIR")
    one.registry.putHostname({ ...entryOf(1, 2), status: "released" }, 2)
    one.registry.putHostname(entryOf(2), 3)
    rmSync(path("journal-1.bin"), { recursive: true })
    await until(() => one.snapshot.problem === undefined)
    // As kill -9 would leave it.
    const again = await load()
    expect([again.registry.find("n1.test"), namesOf(again.registry).length, again.problems]).toEqual([undefined, 2, []])
    await Promise.all([one.snapshot.close(), again.snapshot.close()])
  })

  it("keeps the journals when a base can't be written, tells of it, and leaves nothing half-written", async () => {
    const registry = await filled()
    const one = await load()
    one.registry.putCertificate(certificate)
    one.registry.deleteCertificate("cert-0")
    await one.snapshot.close()
    // The removed certificate calls for a new base at once.
    const two = await load()
    rmSync(path("base.bin"))
    mkdirSync(path("base.bin"))
    await until(() => two.snapshot.problem !== undefined)
    await two.snapshot.close()
    expect(readdirSync(folder).filter((name) => name === "base.new")).toEqual([])
    expect(readdirSync(folder).filter((name) => name.startsWith("journal")).length).toBeGreaterThan(1)
    expect(two.registry.size).toBe(registry.size)
  })
})
