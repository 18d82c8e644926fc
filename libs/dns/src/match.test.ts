/** The verdict's rule and each type's comparison, examples and properties. */
import type { DnsRecord } from "@connect-domain/domain/DnsRecord.ts"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { matchOwnership } from "./matchOwnership.ts"
import { matchAddress, matchAlias, matchValue, type TargetAddresses } from "./matchRecord.ts"
import type { ServerReply } from "./Resolver.ts"
import { bothOf, combine, combineAll, type Verdict } from "./verdict.ts"

const reply = (server: string, values: ReadonlyArray<string>, alias: string | null = null): ServerReply => ({
  server,
  address: "192.0.2.53",
  outcome: { kind: "answered", exists: true, alias, values, ttl: 60 }
})
const failed = (server: string): ServerReply => ({ server, address: null, outcome: { kind: "failed", error: "no answer" } })
const only = (judged: ReadonlyArray<{ readonly verdict: Verdict }>) => combine(judged.map((one) => one.verdict))
const record = (type: DnsRecord["type"], value: string, priority?: number): DnsRecord => ({
  host: "www.acme.test",
  type,
  value,
  ttl: 300,
  ...(priority === undefined ? {} : { priority })
})

describe("combine", () => {
  const verdicts = fc.array(fc.constantFrom<Verdict>("match", "mismatch", "unknown"), { maxLength: 6 })
  test("match, mismatch and unknown as product rules say", () => {
    fc.assert(
      fc.property(verdicts, (all) => {
        const answered = all.filter((verdict) => verdict !== "unknown")
        const expected =
          answered.length > 0 && answered.every((verdict) => verdict === "match")
            ? "match"
            : all.length > 0 && all.every((verdict) => verdict === "mismatch")
              ? "mismatch"
              : "unknown"
        expect(combine(all)).toBe(expected)
      })
    )
  })
  test("the order of servers means nothing, and a server that stops answering never makes a mismatch or takes a match away", () => {
    fc.assert(
      fc.property(verdicts, fc.nat(), (all, seed) => {
        expect(combine([...all].reverse())).toBe(combine(all))
        if (all.length < 2) return
        const silenced = all.map((verdict, at): Verdict => (at === seed % all.length ? "unknown" : verdict))
        if (combine(silenced) === "mismatch") expect(combine(all)).toBe("mismatch")
        if (combine(all) === "match" && silenced.includes("match")) expect(combine(silenced)).toBe("match")
      })
    )
  })
  test("of several records a sure difference decides, then a doubt", () => {
    expect([combineAll([]), combineAll(["match", "match"]), combineAll(["match", "unknown"]), combineAll(["unknown", "mismatch"])]).toEqual(
      ["match", "match", "unknown", "mismatch"]
    )
  })
})

describe("ownership", () => {
  const value = `cd-verify-${"a".repeat(32)}`
  test("exactly equal, among others", () => {
    expect(only(matchOwnership(value, [reply("a", ["v=spf1 -all", value])]))).toBe("match")
  })
  test("nothing but the value itself is the value", () => {
    const others = fc
      .oneof(fc.string(), fc.constantFrom(` ${value}`, `${value} `, `"${value}"`, value.toUpperCase(), value.slice(0, -1), `${value}.`))
      .filter((text) => text !== value)
    fc.assert(
      fc.property(fc.array(others), (values) => {
        expect(only(matchOwnership(value, [reply("a", values)]))).toBe("mismatch")
      })
    )
  })
})

describe("addresses", () => {
  const address = fc.constantFrom("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2")
  const typeOf = (value: string) => (value.includes(":") ? "AAAA" : "A") as "A" | "AAAA"
  test("present, and nothing foreign of either family", () => {
    fc.assert(
      fc.property(fc.uniqueArray(address, { minLength: 1 }), fc.uniqueArray(address), (wanted, seen) => {
        const expected = wanted.map((value) => seen.includes(value) && seen.every((other) => wanted.includes(other)))
        const verdicts = wanted.map(
          (value) => only(matchAddress(record(typeOf(value), value), new Set(wanted), [reply("a", seen)])) === "match"
        )
        expect(verdicts).toEqual(expected)
      })
    )
  })
  test("a foreign AAAA beside our A is a mismatch, however our address is spelt", () => {
    expect(only(matchAddress(record("A", "192.0.2.1"), new Set(["192.0.2.1"]), [reply("a", ["192.0.2.1", "2001:db8::1"])]))).toBe(
      "mismatch"
    )
    expect(only(matchAddress(record("AAAA", "2001:0DB8:0::1"), new Set(["2001:db8::1"]), [reply("a", ["2001:db8::1"])]))).toBe("match")
  })
  test("both families count for a server; one that failed for either has not answered", () => {
    const both = bothOf([reply("a", ["192.0.2.1"]), reply("b", ["192.0.2.1"])], [reply("b", ["2001:db8::1"]), failed("a")])
    expect(both.map(({ outcome }) => (outcome.kind === "answered" ? outcome.values : null))).toEqual([null, ["192.0.2.1", "2001:db8::1"]])
  })
})

describe("aliases", () => {
  const wanted = record("CNAME", "Edge.Vendor.Test.")
  const known = (...addresses: ReadonlyArray<string>): TargetAddresses => ({ kind: "known", addresses })
  test("case and trailing dot aside, the target is equal", () => {
    expect(only(matchAlias(wanted, [reply("a", [], "edge.vendor.test")], { kind: "notAccepted" }))).toBe("match")
    expect(only(matchAlias(wanted, [reply("a", [], "edge.vendor.test.evil.test")], { kind: "notAccepted" }))).toBe("mismatch")
    expect(only(matchAlias(wanted, [reply("a", ["192.0.2.1"])], { kind: "notAccepted" }))).toBe("mismatch")
  })
  test("a flattened name has exactly the target's addresses", () => {
    const set = fc.uniqueArray(fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8::1"))
    fc.assert(
      fc.property(set, set, (seen, target) => {
        const equal = seen.length > 0 && [...seen].sort().join() === [...target].sort().join()
        expect(only(matchAlias(wanted, [reply("a", seen)], known(...target)))).toBe(equal ? "match" : "mismatch")
      })
    )
  })
  test("a target that can't be asked for leaves it unknown; a name with nothing is a mismatch all the same", () => {
    const unknown: TargetAddresses = { kind: "unknown", error: "timeout" }
    expect(only(matchAlias(wanted, [reply("a", ["192.0.2.1"])], unknown))).toBe("unknown")
    expect(only(matchAlias(wanted, [reply("a", [])], unknown))).toBe("mismatch")
  })
})

describe("other types", () => {
  test("MX with and without a wanted priority, CAA, TXT", () => {
    expect(only(matchValue(record("MX", "mx.vendor.test.", 10), [reply("a", ["10 mx.vendor.test", "20 other.test"])]))).toBe("match")
    expect(only(matchValue(record("MX", "mx.vendor.test", 5), [reply("a", ["10 mx.vendor.test"])]))).toBe("mismatch")
    expect(only(matchValue(record("MX", "mx.vendor.test"), [reply("a", ["10 mx.vendor.test"])]))).toBe("match")
    expect(only(matchValue(record("CAA", '0 Issue "ca.test"'), [reply("a", ['0 issue "ca.test"'])]))).toBe("match")
    expect(only(matchValue(record("TXT", "Case"), [reply("a", ["case"])]))).toBe("mismatch")
  })
})
