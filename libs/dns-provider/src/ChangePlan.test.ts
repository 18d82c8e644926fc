/** What a plan changes, refuses and leaves alone. */
import type { DnsRecord } from "@connect-domain/domain/DnsRecord.ts"
import { Effect, Result } from "effect"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Change, planChanges, planRemoval, undo } from "./ChangePlan.ts"
import { makeMemoryProvider } from "./MemoryProvider.ts"
import { type RecordSet, sameValues } from "./RecordSet.ts"

const www = "www.acme.test"
const cname = (value = "edge.vendor.example"): DnsRecord => ({ host: www, type: "CNAME", value, ttl: 300 })
const set = (name: string, type: string, ...values: ReadonlyArray<string>): RecordSet => ({ name, type, ttl: 900, values })
const consent = { replaceForeign: true }
const plan = (current: ReadonlyArray<RecordSet>, wanted: ReadonlyArray<DnsRecord>, options = { replaceForeign: false }) =>
  Result.getOrThrow(planChanges(current, wanted, options))
const refusal = (current: ReadonlyArray<RecordSet>, wanted: ReadonlyArray<DnsRecord>, options = { replaceForeign: false }) =>
  Result.match(planChanges(current, wanted, options), { onFailure: (conflict) => conflict.found, onSuccess: () => undefined })

describe("planChanges", () => {
  test("puts a record where nothing stands", () => {
    expect(plan([], [cname()])).toEqual([{ name: www, type: "CNAME", ttl: 300, values: ["edge.vendor.example"], expect: [] }])
  })
  test("is empty when the record stands already, however it is spelt", () => {
    expect(plan([set(www, "CNAME", "Edge.Vendor.Example.")], [cname()])).toEqual([])
  })
  test("refuses a foreign alias or address without consent, and replaces it with", () => {
    expect(refusal([set(www, "CNAME", "old.example")], [cname()])).toEqual(["CNAME old.example"])
    expect(refusal([set(www, "A", "192.0.2.1")], [cname()])).toEqual(["A 192.0.2.1"])
    expect(plan([set(www, "A", "192.0.2.1"), set(www, "AAAA", "2001:db8::1")], [cname()], consent)).toEqual([
      { name: www, type: "A", ttl: 0, values: [], expect: ["192.0.2.1"] },
      { name: www, type: "AAAA", ttl: 0, values: [], expect: ["2001:db8::1"] },
      { name: www, type: "CNAME", ttl: 300, values: ["edge.vendor.example"], expect: [] }
    ])
  })
  test("never removes another type beside a wanted CNAME", () => {
    expect(refusal([set(www, "TXT", "proof"), set(www, "MX", "10 mx.example")], [cname()], consent)).toEqual([
      "TXT proof",
      "MX 10 mx.example"
    ])
    expect(refusal([set(www, "HTTPS", "1 . alpn=h3")], [cname()], consent)).toEqual(["HTTPS 1 . alpn=h3"])
  })
  test("an address family that is not wanted goes, mail and proofs at an apex stay", () => {
    const current = [
      set("acme.test", "AAAA", "2001:db8::1"),
      set("acme.test", "MX", "10 mx.example"),
      set("acme.test", "TXT", "v=spf1 -all"),
      set("acme.test", "NS", "ns1.example")
    ]
    const wanted: DnsRecord = { host: "acme.test", type: "A", value: "192.0.2.9", ttl: 300 }
    expect(refusal(current, [wanted])).toEqual(["AAAA 2001:db8::1"])
    expect(plan(current, [wanted], consent).map((change) => [change.type, change.values])).toEqual([
      ["AAAA", []],
      ["A", ["192.0.2.9"]]
    ])
  })
  test("a challenge is added beside foreign values and keeps their TTL; a CNAME at its name is refused", () => {
    const txt: DnsRecord = { host: "_c.www.acme.test", type: "TXT", value: "mine", ttl: 300 }
    expect(plan([set(txt.host, "TXT", "theirs")], [txt])).toEqual([
      { name: txt.host, type: "TXT", ttl: 900, values: ["theirs", "mine"], expect: ["theirs"] }
    ])
    expect(refusal([set(txt.host, "CNAME", "elsewhere.example")], [txt], consent)).toEqual(["CNAME elsewhere.example"])
  })
  test("TXT values are told apart by case and quotes", () => {
    const txt: DnsRecord = { host: www, type: "TXT", value: "Mine", ttl: 300 }
    expect(plan([set(www, "TXT", "mine", '"Mine"')], [txt])[0]?.values).toEqual(["mine", '"Mine"', "Mine"])
  })
  test("a removal takes our value only, and the whole set when it was alone", () => {
    const txt: DnsRecord = { host: www, type: "TXT", value: "mine", ttl: 300 }
    expect(planRemoval([set(www, "TXT", "theirs", "mine")], [txt])).toEqual([
      { name: www, type: "TXT", ttl: 900, values: ["theirs"], expect: ["theirs", "mine"] }
    ])
    expect(planRemoval([set(www, "TXT", "mine"), set(www, "A", "192.0.2.1")], [txt])).toEqual([
      { name: www, type: "TXT", ttl: 900, values: [], expect: ["mine"] }
    ])
    expect(planRemoval([set(www, "TXT", "theirs")], [txt])).toEqual([])
  })
})

describe("properties", () => {
  const names = fc.constantFrom("acme.test", "www.acme.test", "shop.acme.test", "_c.www.acme.test")
  const valueFor: Record<string, fc.Arbitrary<string>> = {
    A: fc.constantFrom("192.0.2.1", "192.0.2.2", "192.0.2.3"),
    AAAA: fc.constantFrom("2001:db8::1", "2001:db8::2"),
    CNAME: fc.constantFrom("edge.vendor.example", "old.example"),
    TXT: fc.constantFrom("mine", "theirs", "third"),
    MX: fc.constantFrom("10 mx.example", "20 mx.example")
  }
  const type = fc.constantFrom("A", "AAAA", "CNAME", "TXT", "MX") as fc.Arbitrary<"A" | "AAAA" | "CNAME" | "TXT" | "MX">
  const recordSet = fc
    .tuple(names, type)
    .chain(([name, kind]) =>
      fc
        .uniqueArray(valueFor[kind]!, { minLength: 1, maxLength: kind === "CNAME" ? 1 : 3 })
        .map((values) => ({ name, type: kind, ttl: 900, values }))
    )
  const zone = fc.uniqueArray(recordSet, { selector: (item) => `${item.name} ${item.type}`, maxLength: 8 })
  /** One leading kind at a name, as `planRecords` and every valid template give it. */
  const wanted = fc
    .array(
      fc.tuple(names, type).chain(([host, kind]) => valueFor[kind]!.map((value): DnsRecord => ({ host, type: kind, value, ttl: 300 }))),
      { minLength: 1, maxLength: 4 }
    )
    .filter((records) => records.every((one) => one.type !== "CNAME" || records.every((other) => other === one || other.host !== one.host)))

  test("touches only wanted names, keeps foreign values of shared types, and a second plan is empty", () => {
    fc.assert(
      fc.property(zone, wanted, fc.boolean(), (current, records, replaceForeign) => {
        const made = planChanges(current, records, { replaceForeign })
        if (Result.isFailure(made)) return
        const after = apply(current, made.success)
        for (const change of made.success) expect(records.some((record) => record.host === change.name)).toBe(true)
        for (const record of records)
          expect(after.find((item) => item.name === record.host && item.type === record.type)?.values).toContain(record.value)
        for (const item of current.filter(({ type: kind }) => kind === "TXT" || kind === "MX")) {
          expect(after.find((other) => other.name === item.name && other.type === item.type)?.values).toEqual(
            expect.arrayContaining([...item.values])
          )
        }
        expect(Result.getOrThrow(planChanges(after, records, { replaceForeign: false }))).toEqual([])
      })
    )
  })
  test("without consent nothing that stood before is gone", () => {
    fc.assert(
      fc.property(zone, wanted, (current, records) => {
        const made = planChanges(current, records, { replaceForeign: false })
        if (Result.isFailure(made)) return
        const after = apply(current, made.success)
        for (const item of current)
          expect(after.find((other) => other.name === item.name && other.type === item.type)?.values ?? []).toEqual(
            expect.arrayContaining([...item.values])
          )
      })
    )
  })
  test("the undo plan brings the zone back", async () => {
    await fc.assert(
      fc.asyncProperty(zone, wanted, async (current, records) => {
        const made = planChanges(current, records, { replaceForeign: true })
        if (Result.isFailure(made)) return
        const zones = new Map([["acme.test", [...current] as Array<RecordSet>]])
        const { provider } = makeMemoryProvider(zones)
        const at = { name: "acme.test", id: "acme.test" }
        await Effect.runPromise(provider.apply(at, made.success))
        await Effect.runPromise(provider.apply(at, undo(made.success)))
        const after = zones.get("acme.test") ?? []
        expect(after.length).toBe(current.length)
        for (const item of current)
          expect(
            sameValues(item.type, after.find((other) => other.name === item.name && other.type === item.type)?.values ?? [], item.values)
          ).toBe(true)
      })
    )
  })
})

const apply = (sets: ReadonlyArray<RecordSet>, changes: ReadonlyArray<Change>): ReadonlyArray<RecordSet> =>
  changes.reduce<ReadonlyArray<RecordSet>>((before, change) => {
    const others = before.filter((item) => item.name !== change.name || item.type !== change.type)
    return change.values.length === 0
      ? others
      : [...others, { name: change.name, type: change.type, ttl: change.ttl, values: change.values }]
  }, sets)
