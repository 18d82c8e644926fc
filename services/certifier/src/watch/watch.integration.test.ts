/** A15: every figure that an alert rule names is told by a running certifier, and the alerts fire in time. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { metricsText } from "@connect-domain/telemetry/Telemetry.ts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventuallyEffect } from "../../test/eventually.ts"
import { ask, makeWorld } from "../../test/World.ts"

const rules = readFileSync(join(import.meta.dirname, "../../../../deploy/alerts/certifier.yaml"), "utf8")
const named = [...new Set(rules.match(/connect_domain_[a-z_]+/g))]

describe("A15: what an operator watches", () => {
  it.live("a running certifier tells every metric that a rule names", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld({ env: { CD_ACME_LIMITS: "letsencrypt" } })
      const asked = ask("watched.example.com")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* world.certifier
          yield* world.ensure(asked)
          yield* eventuallyEffect(
            "issued",
            Effect.sync(() => world.notices.some(({ change }) => change === "issued"))
          )
        })
      )
      const pausing = { until: new Date(Date.now() + 7_200_000), because: "test" }
      yield* world.database.query(
        (sql) =>
          sql`insert into certifier.pauses (directory, until, because) values (${world.pebble.directory}, ${pausing.until}, ${pausing.because})`
      )
      // The gauges are read at the start.
      yield* world.certifier
      const linesOf = (name: string, text: string) => text.split("\n").filter((line) => line.split(/[ {]/)[0] === name)
      yield* eventuallyEffect(
        "every metric of the rules",
        Effect.map(metricsText, (text) => named.every((name) => linesOf(name, text).length > 0))
      )
      const text = yield* metricsText
      const values = (name: string) => linesOf(`connect_domain_${name}`, text).map((line) => Number(line.split(" ").at(-1)))
      const value = (name: string) => values(name)[0]!
      assert.strictEqual(value("certificates_served"), 1)
      assert.isAbove(value("certificate_least_life_left_share"), 0.99)
      assert.strictEqual(value("certificate_failing_claims"), 0)
      // One order: a fifth of the five that Let's Encrypt allows for one set of names, less of the other limits.
      assert.strictEqual(Math.max(...values("certificate_budget_used_share")), 1 / 5)
      assert.isAbove(value("certificate_authority_paused_seconds"), 7_000)
      assert.match(text, /certificate_authority_answers_total\{[^}]*outcome="ok"/)
    })
  )
})
