/** When and how whoever uploaded a certificate is told that it ends. */
import { assert, describe, it } from "@effect/vitest"
import { nextWarning, warningShares, warningText } from "./warnings.ts"

const day = 86_400_000

describe("an imported certificate", () => {
  it("is warned about at shares of its life, and daily once it has ended", () => {
    const lifetime = { notBefore: new Date(0), notAfter: new Date(90 * day) }
    const days = (at: number) => nextWarning(lifetime, new Date(at * day)).getTime() / day
    assert.deepStrictEqual([days(0), days(60), days(75), days(82.5), days(86.25), days(90)], [60, 75, 82.5, 86.25, 90, 91])
    // Two of them come before a sixth of its life is left (A15).
    assert.isAtLeast(warningShares.filter((share) => share >= 1 / 6).length, 2)
    assert.match(
      warningText("shop.example.com", lifetime.notAfter, new Date(0)),
      /ends on 1970-04-01 00:00 UTC .*Upload its successor, or delete it/
    )
    assert.match(warningText("shop.example.com", lifetime.notAfter, new Date(91 * day)), /ended on/)
  })
})
