import { readFileSync } from "node:fs"
import { Result } from "effect"
import { describe, expect, it } from "vitest"
import { limitsForReserve, parsePlanFile, planOf } from "./PlanFile.ts"

const shipped = readFileSync(new URL("../plans.json", import.meta.url), "utf8")
const file = () => Result.getOrThrow(parsePlanFile(shipped))
// biome-ignore lint/suspicious/noExplicitAny: the test breaks the file in ways that no type allows
const changed = (change: (json: any) => void) => {
  const json = JSON.parse(shipped)
  change(json)
  const parsed = parsePlanFile(JSON.stringify(json))
  return Result.isFailure(parsed) ? parsed.failure : "accepted"
}

describe("plans file", () => {
  it("as shipped has the four plans, free with three connects a month, enterprise without limits", () => {
    expect(file().plans.map((plan) => plan.key)).toEqual(["free", "pro", "growth", "enterprise"])
    expect(planOf(file(), "free").limits.connect).toBe(3)
    expect(Object.values(planOf(file(), "enterprise").limits)).toEqual([null, null, null, null])
  })

  it("gives tenants without a plan, or with one that was removed, the default", () => {
    expect(planOf(file(), undefined).key).toBe("free")
    expect(planOf(file(), "gold").key).toBe("free")
  })

  it("names the place of each mistake", () => {
    expect(
      changed((json) => {
        json.plans[0].limits.conect = 3
        delete json.plans[0].limits.connect
      })
    ).toMatch(/conect[\s\S]*connect|connect[\s\S]*conect/)
    expect(
      changed((json) => {
        json.plans[1].limits.connect = -1
      })
    ).toContain("plans")
    expect(
      changed((json) => {
        json.plans[0].limits.cert = 5
      })
    ).toContain("cert")
    expect(
      changed((json) => {
        json.default = "gold"
      })
    ).toContain("default names no plan")
    expect(
      changed((json) => {
        json.plans.push(json.plans[0])
      })
    ).toContain("listed twice")
    expect(Result.isFailure(parsePlanFile("{"))).toBe(true)
  })

  it("hands on only the limits that can refuse", () => {
    expect(limitsForReserve(file()).limits.pro).toEqual({ connect: 100, active_domain: 250 })
  })
})
