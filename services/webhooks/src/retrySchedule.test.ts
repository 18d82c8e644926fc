import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { gaps, judge, longestRetryAfter, retryAfterSeconds } from "./retrySchedule.ts"

const answer = (status: number | undefined, retryAfter?: string) => ({ status, error: undefined, latencyMs: 1, retryAfter })
const now = Date.parse("2026-11-23T12:00:00Z")

describe("retry schedule", () => {
  it("is the published one", () => {
    const minutes = gaps.map((seconds) => seconds / 60)
    expect(minutes).toEqual([1, 2, 4, 8, 16, 32, 60, 120, 300, 600, 600])
  })

  it("accepts any 2xx and nothing else", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), (status) => {
        expect(judge(answer(status), 0, now, 0.5).kind === "delivered").toBe(status >= 200 && status < 300)
      })
    )
  })

  it("keeps every gap within ten per cent, and ends after the last", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 }), fc.double({ min: 0, max: 0.999_999, noNaN: true }), (step, random) => {
        const verdict = judge(answer(500), step, now, random)
        const gap = gaps[step]!
        expect(verdict.kind).toBe("retry")
        if (verdict.kind !== "retry") return
        expect(verdict.delaySeconds).toBeGreaterThanOrEqual(gap * 0.9)
        expect(verdict.delaySeconds).toBeLessThanOrEqual(gap * 1.1)
      })
    )
    expect(judge(answer(undefined), 11, now, 0.5)).toEqual({ kind: "exhausted" })
  })

  it("never comes before Retry-After, in either of its forms", () => {
    const verdict = judge(answer(503, "600"), 0, now, 0)
    expect(verdict).toEqual({ kind: "retry", delaySeconds: 600 })
    expect(retryAfterSeconds("Mon, 23 Nov 2026 12:10:00 GMT", now)).toBe(600)
    expect(retryAfterSeconds("Mon, 23 Nov 2026 11:00:00 GMT", now)).toBe(0)
    expect(retryAfterSeconds("soon", now)).toBeUndefined()
    expect(retryAfterSeconds("99999999999", now)).toBe(longestRetryAfter)
    expect(judge(answer(429, "1"), 3, now, 0.5)).toEqual({ kind: "retry", delaySeconds: 480 })
  })

  it("takes 410 for gone", () => {
    expect(judge(answer(410), 0, now, 0.5)).toEqual({ kind: "gone" })
  })
})
