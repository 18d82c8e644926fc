import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { ask, eventually, makeWorld } from "./World.ts"

it.live(
  "numbers",
  () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ pebble: { nonceReject: 5 }, env: { CD_CERTIFIER_CONCURRENCY: "16" } })
      yield* world.certifier
      const times: number[] = []
      for (let i = 0; i < 20; i++) {
        const a = ask(`one${i}.example.com`)
        const t = performance.now()
        yield* world.ensure(a)
        while (!world.notices.some((n) => n.claim_id === a.claim_id)) yield* Effect.sleep(1)
        times.push(performance.now() - t)
      }
      times.sort((a, b) => a - b)
      console.log("latency ms", times.map((t) => Math.round(t)).join(" "))
      const n = 300
      const cpu = process.cpuUsage()
      const t = performance.now()
      yield* Effect.forEach(
        Array.from({ length: n }, (_, i) => ask(`many${i}.example.com`)),
        world.ensure,
        { concurrency: 64 }
      )
      yield* eventually("all", () => world.notices.length >= n + 20, 60)
      const s = (performance.now() - t) / 1000
      const used = process.cpuUsage(cpu)
      console.log(`${(n / s).toFixed(1)}/s, cpu ms each ${((used.user + used.system) / 1000 / n).toFixed(1)}`)
      assert.isTrue(true)
    }),
  120_000
)
