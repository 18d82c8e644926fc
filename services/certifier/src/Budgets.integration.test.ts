/** Limits held in Postgres: never exceeded by many takers, in no window, and given back when their time has passed. */
import { Database } from "@connect-domain/database/Database.ts"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { makeDatabase } from "../test/World.ts"
import { make } from "./Budgets.ts"
import { type Limit, letsEncryptLimits } from "./caLimits.ts"

const directory = "https://ca.example/directory"
const databaseAt = (url: string) =>
  Effect.map(Layer.build(Layer.fresh(Database.layerFor({ url, name: "budgets", role: "cd_certifier" }))), (context) =>
    Context.get(context, Database)
  )

describe("Budgets", () => {
  it.live("A3: 200 takers in four processes' worth of pools get exactly the limit", () =>
    Effect.gen(function* () {
      const url = yield* makeDatabase
      const limit: Limit = { name: "new-orders", per: "account", counts: "orders", max: 30, window_seconds: 3600 }
      const pools = yield* Effect.all(Array.from({ length: 4 }, () => databaseAt(url)))
      const takers = Array.from({ length: 200 }, (_, i) => make(pools[i % 4]!, () => [limit]).takeOrder(directory, [`n${i}.example.com`]))
      const refusals = yield* Effect.all(takers, { concurrency: "unbounded" })
      assert.strictEqual(refusals.filter((refusal) => refusal === undefined).length, 30)
      const paused = yield* make(pools[0]!, () => [limit]).paused
      assert.isAbove(paused.get(directory)!.getTime(), Date.now() + 3_000_000)
    })
  )

  it.live("A3: no window of any length limit ever holds more than it allows, and most of it can be used", () =>
    Effect.gen(function* () {
      const database = yield* databaseAt(yield* makeDatabase)
      let now = Date.UTC(2027, 0, 1)
      const budgets = make(
        database,
        () => letsEncryptLimits,
        Effect.sync(() => new Date(now))
      )
      const granted: Array<{ readonly at: number; readonly domain: string }> = []
      let seed = 7
      const random = () => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
        return seed / 2_147_483_648
      }
      for (let i = 0; i < 1_500; i++) {
        now += Math.floor(random() * 40_000)
        const domain = `customer${i % 40}.com`
        const refusal = yield* budgets.takeOrder(directory, [`shop${i}.${domain}`])
        if (refusal === undefined) granted.push({ at: now, domain })
        else assert.isAbove(refusal.until.getTime(), now)
      }
      const most = (times: ReadonlyArray<number>, window: number) =>
        Math.max(...times.map((start) => times.filter((at) => at >= start && at < start + window * 1000).length))
      assert.isAtMost(
        most(
          granted.map((each) => each.at),
          10_800
        ),
        300
      )
      for (const domain of new Set(granted.map((each) => each.domain)))
        assert.isAtMost(
          most(
            granted.filter((each) => each.domain === domain).map((each) => each.at),
            604_800
          ),
          50
        )
      assert.isAtLeast(granted.length, 800) // 30,000 s are 2.8 windows
    })
  )

  it.live("a name that failed too often waits, others do not; time gives it back", () =>
    Effect.gen(function* () {
      const database = yield* databaseAt(yield* makeDatabase)
      let now = Date.UTC(2027, 0, 1)
      const budgets = make(
        database,
        () => letsEncryptLimits,
        Effect.sync(() => new Date(now))
      )
      for (let i = 0; i < 5; i++) yield* budgets.countFailure(directory, "dead.example.com")
      const refusal = yield* budgets.takeOrder(directory, ["dead.example.com"])
      assert.strictEqual(refusal?.limit, "failed-authorizations")
      assert.isUndefined(yield* budgets.takeOrder(directory, ["live.example.com"]))
      now = refusal!.until.getTime()
      assert.isUndefined(yield* budgets.takeOrder(directory, ["dead.example.com"]))
    })
  )
})
