/** E8: rates by GCRA: never more than rate · t + burst, and whoever keeps to that is never refused. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { clientKey } from "./clientKey.ts"
import { makeRate, type Rate, retrySeconds } from "./Rate.ts"
import { RateTable } from "./RateTable.ts"

const rates = fc.record({ perSecond: fc.integer({ min: 1, max: 5000 }), burst: fc.integer({ min: 1, max: 50 }) })
const gaps = fc.array(fc.oneof(fc.constant(0), fc.nat(2_000), fc.nat(3_000_000)), { minLength: 1, maxLength: 200 })
const somebody = clientKey("192.0.2.1")

const ask = (table: RateTable, rate: Rate, now: number, client = somebody): boolean => {
  if (table.wait(1, client, rate, now) > 0) return false
  table.spend(1, client, rate, now)
  return true
}

describe("E8: one client's rate", () => {
  it("lets through at most rate * t + burst in any stretch, counted in integers", () => {
    fc.assert(
      fc.property(rates, gaps, ({ perSecond, burst }, steps) => {
        const rate = makeRate(perSecond, burst)!
        const table = new RateTable(64)
        const passed: Array<number> = []
        let now = 12_345
        for (const step of steps) {
          now += step
          if (ask(table, rate, now)) passed.push(now)
        }
        for (let from = 0; from < passed.length; from++)
          for (let to = from; to < passed.length; to++) {
            const micros = BigInt(passed[to]! - passed[from]!)
            const most = (micros * BigInt(perSecond)) / 1_000_000n + BigInt(burst)
            expect(BigInt(to - from + 1) <= most).toBe(true)
          }
      })
    )
  })

  it("never refuses a client that keeps to rate and burst, and refuses the first request beyond", () => {
    fc.assert(
      fc.property(rates, gaps, ({ perSecond, burst }, steps) => {
        const rate = makeRate(perSecond, burst)!
        const table = new RateTable(64)
        // The oracle: a token bucket in exact fractions of a request.
        let [tokens, now] = [BigInt(burst) * 1_000_000n, 5]
        for (const step of steps) {
          now += step
          const full = BigInt(burst) * 1_000_000n
          tokens = tokens + BigInt(step) * BigInt(perSecond)
          if (tokens > full) tokens = full
          const conforming = tokens >= 1_000_000n
          expect(ask(table, rate, now)).toBe(conforming)
          if (conforming) tokens -= 1_000_000n
        }
      })
    )
  })

  it("says exactly when to come again: not a microsecond before, and then for sure", () => {
    fc.assert(
      fc.property(rates, fc.nat(1_000_000), ({ perSecond, burst }, start) => {
        const rate = makeRate(perSecond, burst)!
        const table = new RateTable(64)
        for (let n = 0; n < burst; n++) expect(ask(table, rate, start)).toBe(true)
        const wait = table.wait(1, somebody, rate, start)
        expect(wait).toBeGreaterThan(0)
        expect(table.wait(1, somebody, rate, start + wait - 1)).toBe(1)
        expect(table.wait(1, somebody, rate, start + wait)).toBe(0)
        expect(retrySeconds(wait) * 1_000_000).toBeGreaterThanOrEqual(wait)
        expect((retrySeconds(wait) - 1) * 1_000_000).toBeLessThan(Math.max(wait, 1))
      })
    )
  })

  it("takes fractions of a request per second, and no limit for 0", () => {
    const rate = makeRate(0.5, 1)!
    const table = new RateTable(64)
    expect([0, 1_999_999, 2_000_000].map((now) => ask(table, rate, now))).toEqual([true, false, true])
    expect(makeRate(0, 5)).toBeUndefined()
    expect(makeRate(Number.NaN, 5)).toBeUndefined()
  })
})

describe("E8: the rates of many clients", () => {
  it("keeps clients, and limits of one client, apart; IPv6 is one by /64", () => {
    const rate = makeRate(1, 1)!
    const table = new RateTable(64)
    const asked = (address: string) => ask(table, rate, 1, clientKey(address))
    expect(["192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1"].map(asked)).toEqual([true, true, true, true])
    expect(["192.0.2.1", "192.0.2.2", "2001:db8:1:2:ffff::9"].map(asked)).toEqual([false, false, false])
    expect(table.wait(2, clientKey("192.0.2.1"), rate, 1)).toBe(0)
  })

  it("stays in its memory, reuses what has drained, and forgets the smallest debt when it must", () => {
    const rate = makeRate(1, 1)!
    const table = new RateTable(1024, 1)
    const client = (n: number) => ({ high: n, low: n * 7 })
    for (let n = 1; n <= 600; n++) table.spend(1, client(n), rate, 0)
    const forgotten = table.evicted
    // Drained: another 600 find room without forgetting anybody who owes.
    for (let n = 1001; n <= 1600; n++) table.spend(1, client(n), rate, 2_000_000)
    const owing = (from: number, now: number) =>
      Array.from({ length: 600 }, (_, n) => table.wait(1, client(from + n), rate, now)).filter((wait) => wait > 0)
    expect(owing(1001, 2_000_000).length).toBe(600 - (table.evicted - forgotten))
    expect(table.evicted).toBeLessThan(6)
    for (let n = 10_000; n < 30_000; n++) table.spend(1, client(n), rate, 2_000_000)
    expect(table.evicted).toBeGreaterThan(18_000)
  })
})
