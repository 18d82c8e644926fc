/** Renewal instants for every lifetime there is, and a simulated year of each. */
import { assert, describe, it } from "@effect/vitest"
import { drawFor, longestPollSeconds, nextPoll, planRenewal } from "./planRenewal.ts"
import { ladders, retryDelay } from "./retryLadder.ts"

const hour = 3_600_000
const day = 24 * hour
const at = (millis: number) => new Date(millis)
const lifetimes = { "90 d": 90 * day, "64 d": 64 * day, "45 d": 45 * day, "160 h": 160 * hour }

/** Boulder's window: two days around two thirds of the life (a day around half of it for short lives). */
const windowFor = (notBefore: number, life: number) =>
  life < 10 * day
    ? { start: at(notBefore + life / 2 - 12 * hour), end: at(notBefore + life / 2 + 12 * hour) }
    : { start: at(notBefore + (life * 2) / 3 - day), end: at(notBefore + (life * 2) / 3 + day) }

describe("planRenewal", () => {
  it("draws evenly, and the same for one certificate for ever", () => {
    const draws = Array.from({ length: 10_000 }, (_, i) => drawFor(`certificate-${i}`))
    assert.strictEqual(drawFor("a"), drawFor("a"))
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length
    assert.isTrue(Math.abs(mean - 0.5) < 0.02 && Math.min(...draws) >= 0 && Math.max(...draws) < 1)
  })

  for (const [name, life] of Object.entries(lifetimes)) {
    it(`${name}: between a third (half when short) and a twelfth of the life more is left`, () => {
      for (let i = 0; i < 1000; i++) {
        const renewal = planRenewal(`c${i}`, { notBefore: at(0), notAfter: at(life) })
        const left = (life - renewal.at.getTime()) / life
        const least = life < 10 * day ? 1 / 2 : 1 / 3
        assert.isTrue(left >= least - 1e-9 && left <= least + 1 / 12 + 1e-9, `${left}`)
        assert.strictEqual(renewal.because, "lifetime")
      }
    })

    it(`${name}: a year of renewals never has less than a sixth of the life left, with and without ARI, through an outage`, () => {
      const outage = life < 10 * day ? 8 * hour : 7 * day
      for (const ari of [true, false]) {
        for (let i = 0; i < 50; i++) {
          let notBefore = 0
          for (let round = 0; notBefore < 365 * day; round++) {
            const id = `sim-${name}-${ari}-${i}-${round}`
            const lifetime = { notBefore: at(notBefore), notAfter: at(notBefore + life) }
            const renewal = planRenewal(id, lifetime, ari ? windowFor(notBefore, life) : undefined).at.getTime()
            assert.isAtLeast(notBefore + life - renewal, life / 6 - 1)
            // The worst outage begins at the instant of renewal; the ladder's longest step comes on top.
            const done = renewal + outage + ladders.unavailable.at(-1)! * 1.1 * 1000
            assert.isBelow(done, notBefore + life)
            notBefore = renewal
          }
        }
      }
    })
  }

  it("draws within the CA's window and obeys one in the past", () => {
    const lifetime = { notBefore: at(0), notAfter: at(90 * day) }
    const window = { start: at(10 * day), end: at(12 * day) }
    for (let i = 0; i < 500; i++) {
      const { at: instant, because } = planRenewal(`w${i}`, lifetime, window)
      assert.isTrue(instant >= window.start && instant < window.end)
      assert.strictEqual(because, "ari")
    }
    const late = planRenewal("late", lifetime, { start: at(89 * day), end: at(90 * day) })
    assert.isAtMost(late.at.getTime(), 75 * day)
  })

  it("spreads 100,000 certificates of one hour: no hour of the renewals has more than twice the mean", () => {
    for (const window of [undefined, windowFor(0, 90 * day)]) {
      const perHour = new Map<number, number>()
      for (let i = 0; i < 100_000; i++) {
        const issued = (i / 100_000) * hour
        const lifetime = { notBefore: at(issued), notAfter: at(issued + 90 * day) }
        const slot = Math.floor(planRenewal(`spread-${i}`, lifetime, window).at.getTime() / hour)
        perHour.set(slot, (perHour.get(slot) ?? 0) + 1)
      }
      const counts = [...perHour.values()]
      assert.isAtMost(Math.max(...counts), (2 * 100_000) / counts.length)
    }
  })
})

describe("nextPoll", () => {
  const lifetime = { notBefore: at(0), notAfter: at(90 * day) }
  const seconds = (options: Partial<Parameters<typeof nextPoll>[2]>) =>
    nextPoll(at(0), lifetime, { random: 0, ...options }).getTime() / 1000
  it("obeys Retry-After between a minute and twice a day", () => {
    assert.strictEqual(seconds({ retryAfterSeconds: 7200 }), 7200)
    assert.strictEqual(seconds({ retryAfterSeconds: 1 }), 60)
    assert.strictEqual(seconds({ retryAfterSeconds: 900_000 }), longestPollSeconds)
    assert.isAtMost(seconds({}), 43_200)
  })
  it("lets the operator ask more often", () => {
    assert.strictEqual(seconds({ retryAfterSeconds: 21_600, maxSeconds: 10 }), 10)
  })
})

describe("retryDelay", () => {
  it("climbs the ladder and stays on its last step", () => {
    assert.deepStrictEqual(
      [1, 2, 3, 4, 9].map((failures) => retryDelay("refused", failures, 0.5)),
      [60, 600, 6000, 86_400, 86_400]
    )
  })
  it("never asks before the CA allows", () => {
    assert.isAtLeast(retryDelay("limited", 1, 0.5, 100_000), 100_000)
    assert.isAtMost(retryDelay("limited", 1, 0.9, 100), 110)
    assert.strictEqual(retryDelay("unavailable", 1, 0, 30), 30)
  })
  it("varies by ten percent", () => {
    assert.strictEqual(retryDelay("refused", 1, 0), 54)
    assert.isBelow(retryDelay("refused", 1, 0.999), 66)
  })
})
