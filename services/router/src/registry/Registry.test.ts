import { registryKey } from "@connect-domain/domain/Hostname.ts"
import { type HostnameEntry, metaKey, type RegistryMeta } from "@connect-domain/messages/buckets.ts"
import * as fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import { Registry } from "./Registry.ts"
import { noJournal } from "./RegistryJournal.ts"

const entryOf = (hostname: string, version: number, status: "held" | "released" = "held"): HostnameEntry => ({
  hostname,
  status,
  connection_id: `c-${hostname}`,
  tenant_id: "t",
  application_id: "a",
  claim_id: `c-${hostname}`,
  environment: "test",
  origin: null,
  certificate_id: null,
  flags: {},
  version
})

/** A registry that has read a bucket with these entries and a complete `_meta`. */
const filled = (entries: ReadonlyArray<HostnameEntry>): Registry => {
  const registry = new Registry()
  registry.beginHostnames()
  let revision = 0
  for (const entry of entries) registry.putHostname(entry, ++revision)
  const count = entries.filter((entry) => entry.status === "held").length
  registry.putMeta({ epoch: "e1", complete: true, count }, ++revision)
  registry.endHostnames(revision)
  return registry
}

describe("a bucket that was made anew", () => {
  it("takes no name away while it is empty", () => {
    const registry = filled([entryOf("a.test", 1), entryOf("b.test", 2)])
    registry.beginHostnames()
    registry.endHostnames(0)
    expect(registry.size).toBe(2)
  })

  it("takes no name away while it is half filled, though its tombstones outnumber what the old one held", () => {
    const gone = ["x.test", "y.test", "z.test"].map((name, index) => entryOf(name, index + 1, "released"))
    const registry = filled([...gone, entryOf("a.test", 8), entryOf("b.test", 9)])
    registry.beginHostnames()
    gone.forEach((entry, index) => void registry.putHostname(entry, index + 1))
    registry.endHostnames(3)
    expect(registry.find("a.test")).toBeDefined()
    expect(registry.find("b.test")).toBeDefined()
  })

  it("takes away what it does not hold once it says that it is complete", () => {
    const registry = filled([entryOf("a.test", 1), entryOf("b.test", 2)])
    registry.beginHostnames()
    registry.endHostnames(0)
    registry.putHostname(entryOf("a.test", 1), 1)
    expect(registry.find("b.test")).toBeDefined()
    registry.putMeta({ epoch: "e2", complete: true, count: 1 }, 2)
    expect(registry.find("a.test")).toBeDefined()
    expect(registry.find("b.test")).toBeUndefined()
  })

  it("never takes away a held name, however a rebuild and further looks interleave", () => {
    const names = ["a.test", "b.test", "c.test", "d.test"]
    const step = fc.oneof(
      fc.constant({ do: "wipe" as const }),
      fc.constant({ do: "look" as const }),
      fc.nat(names.length - 1).map((index) => ({ do: "put" as const, index }))
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), (steps, held) => {
        const all = names.map((name, index) => entryOf(name, index + 1, held[index] ? "held" : "released"))
        const registry = filled(all)
        let bucket: Array<HostnameEntry> = [...all]
        const look = () => {
          registry.beginHostnames()
          bucket.forEach((entry, index) => void registry.putHostname(entry, index + 1))
          registry.endHostnames(bucket.length)
        }
        for (const each of steps) {
          if (each.do === "wipe") bucket = []
          if (each.do === "put" && !bucket.includes(all[each.index]!)) {
            bucket.push(all[each.index]!)
            registry.putHostname(all[each.index]!, bucket.length)
          } else look()
          for (const entry of all) expect(registry.find(entry.hostname) !== undefined).toBe(entry.status === "held")
        }
      })
    )
  })
})

/** The hostnames bucket as lifecycle keeps it and NATS may lose it, with an edge that watches. */
class Bucket {
  readonly registry = new Registry()
  private entries: ReadonlyArray<readonly [key: string, value: HostnameEntry | RegistryMeta]> = []
  private readonly copies = [this.entries]
  private revision = 0

  private tell(key: string, value: HostnameEntry | RegistryMeta | undefined): void {
    if (value === undefined) this.registry.markerAt(key, ++this.revision)
    else if ("epoch" in value) this.registry.putMeta(value, ++this.revision)
    else this.registry.putHostname(value, ++this.revision)
  }

  private change(key: string, value: HostnameEntry | RegistryMeta | undefined): void {
    const others = this.entries.filter(([each]) => each !== key)
    this.entries = value === undefined ? others : [...others, [key, value]]
    this.copies.push(this.entries)
    this.tell(key, value)
  }

  put(entry: HostnameEntry): void {
    this.change(registryKey(entry.hostname), entry)
  }

  /** NATS has only this of it. */
  become(entries: Bucket["entries"]): void {
    this.entries = entries
    this.registry.beginHostnames()
    this.revision = 0
    for (const [key, value] of entries) this.tell(key, value)
    this.registry.endHostnames(this.revision)
  }

  lose(last: number): void {
    this.become(this.entries.slice(0, Math.max(0, this.entries.length - last)))
  }

  /** Is what it was some changes ago. */
  goBack(changes: number): void {
    this.become(this.copies[Math.max(0, this.copies.length - 1 - changes)]!)
  }

  /** A new epoch, begun and completed. */
  rebuild(epoch: string, truth: ReadonlyMap<string, HostnameEntry>): void {
    for (const entry of truth.values()) this.put(entry)
    for (const [key] of this.entries)
      if (key !== metaKey && ![...truth.keys()].some((name) => registryKey(name) === key)) this.change(key, undefined)
    const count = [...truth.values()].filter(({ status }) => status === "held").length
    this.change(metaKey, { epoch, complete: true, count })
  }
}

describe("E16: a bucket that lost what it had acknowledged", () => {
  it("E16: takes no held name away; a new epoch takes what nobody holds, from an edge that runs as from one that reads anew", () => {
    const names = ["a.test", "b.test", "*.c.test", "d.c.test"]
    const step = fc.record({
      do: fc.constantFrom("hold", "hold", "release", "forget", "lose", "goBack", "wipe", "look", "rebuild"),
      at: fc.nat(names.length - 1),
      by: fc.nat(6)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const bucket = new Bucket()
        const truth = new Map<string, HostnameEntry>()
        bucket.become([])
        bucket.rebuild("e", truth)
        steps.forEach((each, version) => {
          const name = names[each.at]!
          if (each.do === "hold" || (each.do === "release" && truth.has(name))) {
            truth.set(name, entryOf(name, version, each.do === "hold" ? "held" : "released"))
            bucket.put(truth.get(name)!)
          }
          if (each.do === "forget") truth.delete(name)
          if (each.do === "lose") bucket.lose(each.by)
          if (each.do === "goBack") bucket.goBack(each.by)
          if (each.do === "wipe") bucket.lose(Number.POSITIVE_INFINITY)
          if (each.do === "look") bucket.lose(0)
          if (each.do === "rebuild") bucket.rebuild(`e${version}`, truth)
          const { holdings } = bucket.registry
          for (const [hostname, { status }] of truth)
            expect([hostname, holdings.heldName(hostname) !== undefined]).toEqual([hostname, status === "held"])
          if (each.do === "rebuild") for (const hostname of names) expect(holdings.name(hostname)).toEqual(truth.get(hostname))
        })
      }),
      { numRuns: 1000 }
    )
  })
})

describe("E16: a full look at what is known already", () => {
  it("decodes and writes nothing, and waits for certificates that are not here", () => {
    const one = entryOf("a.test", 1)
    const two = { ...entryOf("b.test", 2), certificate_id: "not-here" }
    const registry = filled([one, two, entryOf("c.test", 3, "released")])
    const written: Array<unknown> = []
    registry.journal = { ...noJournal, hostname: (entry) => written.push(entry) }
    const decoded = vi.spyOn(registry.holdings, "decodeName")
    registry.beginHostnames()
    registry.putHostname({ ...one }, 1)
    registry.putHostname({ ...two }, 2)
    registry.putHostname(entryOf("c.test", 3, "released"), 3)
    registry.putMeta({ epoch: "e1", complete: true, count: 2 }, 4)
    registry.endHostnames(4)
    expect(decoded).not.toHaveBeenCalled()
    expect(written).toEqual([])
    expect(registry.size).toBe(2)
    expect(registry.missingCertificates(9)).toEqual(["not-here"])
    expect(registry.appliedRevision).toBe(1)
    registry.putHostname({ ...one, origin: "https://other.test" }, 5)
    expect(written).toHaveLength(1)
    expect(registry.find("a.test")?.origin).toBe("https://other.test")
  })
})
