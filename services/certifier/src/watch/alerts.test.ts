/** A15: the alert rules are whole, name metrics that exist, and fire in the simulation before a sixth of a life is left. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { parse } from "yaml"
import { watchOutage } from "../../test/simulation/simulateOutage.ts"
import { outcomeOf } from "./countAnswers.ts"
import { metricNames } from "./metrics.ts"

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: Readonly<Record<string, string>>
}

const file = join(import.meta.dirname, "../../../../deploy/alerts/certifier.yaml")
const rules = (parse(readFileSync(file, "utf8")) as { groups: ReadonlyArray<{ rules: ReadonlyArray<Rule> }> }).groups.flatMap(
  (group) => group.rules
)
const [hour, day] = [3_600_000, 86_400_000]

describe("A15: alert rules", () => {
  it("name metrics that exist, with a severity and what to do", () => {
    assert.isAtLeast(rules.length, 8)
    for (const { alert, expr, labels, annotations } of rules) {
      const names = expr.match(/connect_domain_[a-z_]+/g) ?? []
      assert.isNotEmpty(names, alert)
      for (const name of names) assert.include(metricNames, name.replace("connect_domain_", ""), alert)
      assert.include(["page", "warning"], labels.severity, alert)
      assert.isNotEmpty(annotations.summary, alert)
      assert.isNotEmpty(annotations.action, alert)
    }
  })

  const low = rules.find(({ alert }) => alert === "CertificateLifeLow")!
  const threshold = Number(/certificate_least_life_left_share\) < ([\d.]+)$/.exec(low.expr)![1])
  const rule = { fires: (share: number) => share < threshold, forHours: Number.parseInt(low.for, 10) }

  for (const [name, life, survived, fatal] of [
    ["90 d", 90 * day, 7 * day, 60 * day],
    ["64 d", 64 * day, 7 * day, 40 * day],
    ["45 d", 45 * day, 7 * day, 30 * day],
    ["160 h", 160 * hour, 8 * hour, 5 * day]
  ] as const) {
    it(`${name}: CertificateLifeLow fires before a sixth of a life is left when the CA stays away, and not for an outage that is survived`, () => {
      for (const seed of [1, 2, 3]) {
        const away = watchOutage(seed, 100, life, fatal, rule)
        assert.isAbove(away.firedAt ?? 0, 1 / 6, `seed ${seed}`)
        assert.isUndefined(watchOutage(seed, 100, life, survived, rule).firedAt, `seed ${seed}`)
      }
    })
  }

  it("answers are sorted by who has to act", () => {
    assert.deepStrictEqual([200, 201, 404, 429, 503].map(outcomeOf), ["ok", "ok", "refused", "limited", "unavailable"])
  })
})
