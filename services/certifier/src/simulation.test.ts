/** Simulated years (`test/simulateYear.ts`): a few seeds here, more by `node services/certifier/test/simulate.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { simulateYear } from "../test/simulateYear.ts"

describe("a simulated year", () => {
  for (const seed of [1, 2]) {
    it(`seed ${seed}: 1,000 names, outages, lifetimes from 90 days to 160 hours, a mass revocation: never without a valid certificate`, {
      timeout: 60_000
    }, () => {
      const year = simulateYear(seed, 1_000)
      assert.isAtLeast(year.leastShareLeft, 1 / 6 - 0.01)
      assert.isAbove(year.revoked, 500)
      assert.isAbove(year.renewed, 10_000)
      assert.isAbove(year.outages, 5)
    })
  }

  it("one seed, one year: a failure can be repeated", { timeout: 60_000 }, () => {
    assert.deepStrictEqual(simulateYear(7, 60), simulateYear(7, 60))
    assert.notStrictEqual(simulateYear(7, 60).digest, simulateYear(8, 60).digest)
  })
})
