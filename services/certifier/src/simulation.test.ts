/**
 * The scheduling core through simulated time (`test/simulation/`). CI runs twelve years here (T1 by command: two hundred seeds,
 * `node services/certifier/test/simulate.ts`) and five thousand certificates of one hour (A6 by command: a hundred thousand, `--spread`).
 */
import { assert, describe, it } from "@effect/vitest"
import { Broken } from "../test/simulation/checks.ts"
import { simulateDeadNames } from "../test/simulation/simulateDeadNames.ts"
import { simulateReturn, simulateSpread } from "../test/simulation/simulateSpread.ts"
import { simulateYear } from "../test/simulation/simulateYear.ts"

const hour = 3_600_000
const day = 24 * hour
const seeds = 12

describe("a simulated year", () => {
  it(`T1, A5: ${seeds} seeds × 1,000 names, outages up to a week, lifetimes from 90 days to 160 hours, a mass revocation`, {
    timeout: 120_000
  }, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const year = simulateYear(seed, 1_000)
      assert.isAtLeast(year.leastShareLeft, 1 / 6 - 0.01)
      assert.isAbove(year.revoked, 500)
      assert.isAbove(year.renewed, 10_000)
      assert.isAbove(year.outages, 5)
      assert.isAbove(year.givenUp, 5)
      // A tenth of the names in one hour, in the worst of a year: an outage of a week ended in it.
      assert.isAtMost(year.busiestHour, 100, `seed ${seed}`)
    }
  })

  it("T1: one seed, one year: a failure can be repeated", () => {
    assert.deepStrictEqual(simulateYear(7, 60), simulateYear(7, 60))
    assert.notStrictEqual(simulateYear(7, 60).digest, simulateYear(8, 60).digest)
  })

  it("T1: it notices when dead names are never given up", () => {
    assert.throws(() => simulateYear(1, 1_000, { pauseAfterMillis: Number.POSITIVE_INFINITY }), Broken, /never given up/)
    assert.throws(() => simulateDeadNames(1, 20, { pauseAfterMillis: Number.POSITIVE_INFINITY }), Broken, /never given up/)
  })
})

describe("evenness", () => {
  for (const [name, life] of Object.entries({ "90 d": 90 * day, "45 d": 45 * day, "160 h": 160 * hour })) {
    it(`A6: ${name}: certificates of one hour: the next cycle's busiest hour has at most twice the mean`, { timeout: 60_000 }, () => {
      const { renewed, ratio } = simulateSpread(1, 5_000, life)
      assert.isAtLeast(renewed, 5_000)
      assert.isAtMost(ratio, 2)
    })
  }

  for (const [name, life, outage] of [
    ["90 d", 90 * day, 7 * day],
    ["45 d", 45 * day, 7 * day],
    ["160 h", 160 * hour, 8 * hour]
  ] as const) {
    it(`A6: ${name}: what an outage held up does not come in the hour after it`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const { renewed, busiestHour } = simulateReturn(seed, 1_000, life, outage)
        assert.isAtLeast(renewed, 450)
        assert.isAtMost(busiestHour / renewed, 0.25, `seed ${seed}`)
      }
    })
  }
})

describe("dead names", () => {
  it("A7: 1,000 for thirty days: one order a day after the ladder, none after the pause, all given up, the living unaffected", () => {
    const { mostADay, ordersAfterPause, givenUp, liveIssued, slowestLive } = simulateDeadNames(1, 1_000)
    assert.strictEqual(mostADay, 1)
    assert.strictEqual(ordersAfterPause, 0)
    assert.strictEqual(givenUp, 1_000)
    assert.strictEqual(liveIssued, 1_000)
    assert.isBelow(slowestLive, 1)
  })
})
