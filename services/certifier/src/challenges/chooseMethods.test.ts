/** Which challenge is tried first, which never, and what is said of the choice. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type CaFacts, chooseMethods, type NameFacts, otherWays, type Remembered } from "./chooseMethods.ts"
import { isEdgeMethod, type Method, methods } from "./methods.ts"

const name = (facts: Partial<NameFacts> = {}): NameFacts => ({
  ...{ hostname: "shop.example.com", served: false, leads: "here", edges: true, credential: false, delegated: false },
  ...facts
})
const day = (n: number) => new Date(n * 86_400_000)
const ca = (facts: Partial<CaFacts> = {}, memory: ReadonlyArray<readonly [Method, Partial<Remembered>]> = []): CaFacts => ({
  ...{ offers: undefined, allows: () => true, persists: false },
  ...facts,
  memory: new Map(memory.map(([method, each]) => [method, { worked: null, failed: null, ...each }]))
})
const order = (...args: Parameters<typeof chooseMethods>) => chooseMethods(...args).choices.map(({ method }) => method)

describe("the choice of a challenge", () => {
  it("a name that leads to us: HTTP-01, TLS-ALPN-01 while nothing is served; a credential comes last", () => {
    expect(order(methods, name(), ca())).toEqual(["http-01", "tls-alpn-01"])
    expect(order(methods, name({ credential: true }), ca())).toEqual(["http-01", "tls-alpn-01", "dns-01"])
    expect(order(methods, name({ served: true }), ca())).toEqual(["http-01"])
    expect(chooseMethods(methods, name(), ca()).choices[0]!.why).toBe("HTTP-01: the name leads to our edge.")
  })

  it("before the cut-over: DNS alone, and nothing without access to the DNS", () => {
    const elsewhere = { leads: "elsewhere" as const }
    expect(order(methods, name({ ...elsewhere, credential: true }), ca())).toEqual(["dns-01"])
    expect(order(methods, name({ ...elsewhere, delegated: true }), ca({ persists: true }))).toEqual(["dns-persist-01", "dns-01"])
    const { choices, closed } = chooseMethods(methods, name(elsewhere), ca())
    expect(choices).toEqual([])
    expect(Object.fromEntries(closed)).toEqual({
      "dns-persist-01": "no-record",
      "http-01": "elsewhere",
      "tls-alpn-01": "elsewhere",
      "dns-01": "no-access"
    })
    expect(chooseMethods(methods, name({ ...elsewhere, delegated: true }), ca()).choices[0]!.why).toBe(
      "DNS-01: the name does not lead to us yet, and its _acme-challenge is delegated to us."
    )
  })

  it("D8: a wildcard by DNS alone, whether it leads to us or not", () => {
    const wild = { hostname: "*.example.com" }
    expect(order(methods, name({ ...wild, credential: true }), ca({ persists: true }))).toEqual(["dns-persist-01", "dns-01"])
    expect(order(methods, name(wild), ca())).toEqual([])
  })

  it("without an edge DNS still works", () => {
    expect(order(methods, name({ edges: false, credential: true }), ca())).toEqual(["dns-01"])
    expect(chooseMethods(methods, name({ edges: false }), ca()).closed.get("http-01")).toBe("no-edge")
  })

  it("remembers: what worked goes first, what failed goes last, the longest ago first among failures", () => {
    const all = name({ credential: true })
    expect(order(methods, all, ca({}, [["dns-01", { worked: day(1) }]]))).toEqual(["dns-01", "http-01", "tls-alpn-01"])
    expect(order(methods, all, ca({}, [["http-01", { worked: day(1), failed: day(2) }]]))).toEqual(["tls-alpn-01", "dns-01", "http-01"])
    const failures: ReadonlyArray<readonly [Method, Partial<Remembered>]> = [
      ["http-01", { failed: day(3) }],
      ["tls-alpn-01", { failed: day(2) }],
      ["dns-01", { failed: day(4) }]
    ]
    expect(order(methods, all, ca({}, failures))).toEqual(["tls-alpn-01", "http-01", "dns-01"])
    expect(chooseMethods(methods, all, ca({}, [["http-01", { failed: day(2) }]])).choices[0]!.why).toBe(
      "TLS-ALPN-01: the name leads to our edge and nothing is served under it yet; HTTP-01 failed."
    )
    expect(chooseMethods(methods, all, ca({}, failures)).choices[0]!.why).toMatch(/has failed before, this one the longest ago\.$/)
    expect(chooseMethods(methods, all, ca({}, [["dns-01", { worked: day(1) }]])).choices[0]!.why).toMatch(/it worked before\.$/)
  })

  it("a lasting record is used once it is seen, though HTTP-01 worked before", () => {
    expect(order(methods, name({ served: true }), ca({ persists: true }, [["http-01", { worked: day(1) }]]))).toEqual([
      "dns-persist-01",
      "http-01"
    ])
  })

  it("a served name is validated over TLS only when every other challenge fails", () => {
    const served = name({ served: true, credential: true })
    expect(order(methods, served, ca({}, [["http-01", { failed: day(2) }]]))).toEqual(["dns-01", "http-01"])
    const failed = ca({}, [
      ["http-01", { failed: day(2) }],
      ["dns-01", { failed: day(3) }]
    ])
    expect(order(methods, served, failed)).toEqual(["tls-alpn-01", "http-01", "dns-01"])
    expect(order(["tls-alpn-01"], name({ served: true }), ca())).toEqual(["tls-alpn-01"])
  })

  it("the operator's list is an order and a limit; so is what the CA offers and what CAA allows", () => {
    expect(order(["tls-alpn-01", "http-01"], name({ credential: true }), ca())).toEqual(["tls-alpn-01", "http-01"])
    expect(order(methods, name({ credential: true }), ca({ offers: new Set(["dns-01", "http-01"]) }))).toEqual(["http-01", "dns-01"])
    const caa = chooseMethods(methods, name({ credential: true }), ca({ allows: (method) => method === "dns-01" }))
    expect(caa.choices.map(({ method }) => method)).toEqual(["dns-01"])
    expect(caa.closed.get("http-01")).toBe("caa")
  })

  it("never offers a way that can only fail, never loses one, and explains each", () => {
    const date = fc.option(fc.date({ min: day(0), max: day(20_000), noInvalidDate: true }))
    const facts = fc.record({
      hostname: fc.constantFrom("a.example.com", "*.example.com"),
      served: fc.boolean(),
      leads: fc.constantFrom("here" as const, "elsewhere" as const, "unknown" as const),
      edges: fc.boolean(),
      credential: fc.boolean(),
      delegated: fc.boolean()
    })
    const memory = fc.array(fc.tuple(fc.constantFrom(...methods), fc.record({ worked: date, failed: date })))
    const of = fc.record({ persists: fc.boolean(), allowed: fc.subarray([...methods]), caa: fc.subarray([...methods]) })
    fc.assert(
      fc.property(facts, of, memory, fc.shuffledSubarray([...methods]), (each, { persists, allowed, caa }, remembered, list) => {
        const offers = new Set<string>(allowed)
        const { choices, closed } = chooseMethods(list, each, ca({ persists, offers, allows: (m) => caa.includes(m) }, remembered))
        expect([...choices.map(({ method }) => method), ...closed.keys()].sort()).toEqual([...list].sort())
        for (const { method, why } of choices) {
          expect(why).toMatch(/^[A-Z-]+-01: .+\.$/)
          expect(offers.has(method) && caa.includes(method)).toBe(true)
          if (isEdgeMethod(method)) expect(each.hostname.startsWith("*.") || each.leads === "elsewhere" || !each.edges).toBe(false)
          if (method === "dns-01") expect(each.credential || each.delegated).toBe(true)
          if (method === "dns-persist-01") expect(persists).toBe(true)
        }
      })
    )
  })
})

describe("A7: after a failed proof", () => {
  const after = (failed: Method, ...args: Parameters<typeof chooseMethods>) =>
    otherWays(failed, chooseMethods(...args).choices).map(({ method }) => method)

  it("one more order where another path is open; a name that is dead for all edges costs one order an attempt", () => {
    expect(after("http-01", methods, name(), ca())).toEqual([])
    expect(after("http-01", methods, name({ credential: true }), ca())).toEqual(["dns-01"])
    expect(after("dns-01", methods, name({ credential: true }), ca())).toEqual(["http-01", "tls-alpn-01"])
    const both = ca({}, [
      ["http-01", { failed: day(1) }],
      ["dns-01", { failed: day(2) }]
    ])
    expect(after("http-01", ["http-01", "dns-01"], name({ credential: true }), both)).toEqual([])
  })
})
