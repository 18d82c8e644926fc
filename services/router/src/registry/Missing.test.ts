import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Missing } from "./Missing.ts"

describe("certificates that are waited for", () => {
  it("hold back the revision before the lowest of them, whatever comes, is given up or begins anew", () => {
    const step = fc.record({ do: fc.constantFrom("add", "add", "delete", "try", "clear"), id: fc.nat(8).map(String) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const missing = new Missing()
        const oracle = new Map<string, { readonly revision: number; tries: number }>()
        let seen = 0
        for (const each of steps) {
          if (each.do === "clear") {
            missing.clear()
            oracle.clear()
            seen = 0
          }
          if (each.do === "add") {
            missing.add(each.id, ++seen)
            if (!oracle.has(each.id)) oracle.set(each.id, { revision: seen, tries: 0 })
          }
          if (each.do === "delete") expect(missing.delete(each.id)).toBe(oracle.delete(each.id))
          const known = oracle.get(each.id)
          if (each.do === "try" && known !== undefined) expect(missing.notFound(each.id, 0)).toBe(++known.tries === 4)
          const waiting = [...oracle.values()].filter(({ tries }) => tries < 4)
          expect(missing.applied(seen)).toBe(Math.min(seen, ...waiting.map(({ revision }) => revision - 1)))
          expect([missing.waiting, missing.absent]).toEqual([waiting.length, oracle.size - waiting.length])
        }
      }),
      { numRuns: 2000 }
    )
  })

  it("are asked for by turns, each again after a while only, until they are given up", () => {
    const missing = new Missing()
    for (let at = 0; at < 300; at++) missing.add(`c${at}`, at + 1)
    const times = new Map<string, number>()
    let now = 0
    for (let rounds = 0; missing.waiting > 0; rounds++) {
      expect(rounds).toBeLessThan(1000)
      for (const id of missing.next(64, now)) {
        times.set(id, (times.get(id) ?? 0) + 1)
        missing.notFound(id, now)
      }
      // Five rounds see everyone; nobody's turn comes again before all had one.
      if (rounds === 4) expect([times.size, Math.max(...times.values())]).toEqual([300, 1])
      now += 50
    }
    expect(new Set(times.values())).toEqual(new Set([4]))
    expect([missing.next(64, now), missing.absent, missing.applied(999)]).toEqual([[], 300, 999])
    expect(missing.delete("c7")).toBe(true)
    expect(missing.absent).toBe(299)
  })
})
