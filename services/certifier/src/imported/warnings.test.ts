/** When and how whoever uploaded a certificate is told that it ends, and when a CA takes over. */
import { assert, describe, it } from "@effect/vitest"
import { nextWarning, takeOverText, warningShares, warningText } from "./warnings.ts"

const day = 86_400_000

describe("an imported certificate", () => {
  it("is warned about at shares of its life, and replaced by one of a CA before its end", () => {
    const lifetime = { notBefore: new Date(0), notAfter: new Date(90 * day) }
    const days = (at: number) => nextWarning(lifetime, new Date(at * day)).getTime() / day
    assert.deepStrictEqual([days(0), days(60), days(75), days(83), days(91)], [60, 75, 82.5, 82.5, 82.5])
    // Two of them come before a sixth of its life is left (A15).
    assert.isAtLeast(warningShares.filter((share) => share >= 1 / 6).length, 2)
    assert.match(
      warningText("shop.example.com", lifetime),
      /ends on 1970-04-01 00:00 UTC.*Upload its successor.*1970-03-24 12:00 UTC, we obtain/
    )
    assert.match(takeOverText("shop.example.com", lifetime, new Date(91 * day)), /ended on/)
  })
})
