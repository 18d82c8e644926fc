import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { countedPeriod, isPeriod, lateAfterMillis, periodOf, skewMillis } from "./billingPeriod.ts"

const at = (iso: string) => Date.parse(iso)

describe("billing period", () => {
  it("is the calendar month in UTC", () => {
    expect(periodOf(at("2026-11-30T23:59:59.999Z"))).toBe("2026-11")
    expect(periodOf(at("2026-12-01T00:30:00+02:00"))).toBe("2026-11")
    expect(["2026-11", "2026-13", "2026-1", "26-11", "2026-11-01"].map(isPeriod)).toEqual([true, false, false, false, false])
  })

  it("is the fact's own month while it is neither late nor ahead", () => {
    fc.assert(
      fc.property(fc.integer({ min: -lateAfterMillis, max: skewMillis }), (offset) => {
        const now = at("2026-03-01T00:03:00Z")
        expect(countedPeriod(now + offset, now)).toBe(periodOf(now + offset))
      })
    )
  })

  it("is ours for a fact that is too old, too far ahead or unreadable", () => {
    const now = at("2026-11-30T12:00:00Z")
    expect(countedPeriod(at("2026-10-01T00:00:00Z"), now)).toBe("2026-11")
    expect(countedPeriod(at("2026-12-01T00:00:00Z"), now)).toBe("2026-11")
    expect(countedPeriod(Number.NaN, now)).toBe("2026-11")
  })

  it("moves a fact at most once around midnight: clocks ten minutes apart agree", () => {
    const midnight = at("2026-12-01T00:00:00Z")
    fc.assert(
      fc.property(fc.integer({ min: -600_000, max: 600_000 }), fc.integer({ min: -600_000, max: 600_000 }), (offset, skew) => {
        const occurred = midnight + offset
        expect(countedPeriod(occurred, occurred + skew)).toBe(periodOf(occurred))
      })
    )
  })
})
