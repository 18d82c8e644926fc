/** The planner agrees with the published arithmetic, and uses every CA that there is. */
import type { CaaAnswer } from "@connect-domain/messages/connector.ts"
import { assert, describe, it } from "@effect/vitest"
import { letsEncryptLimits } from "./caLimits.ts"
import { type Method, methods } from "./challenges/methods.ts"
import { explainPlan, readHostnames } from "./plan.ts"
import { permittedBy } from "./planCaa.ts"
import { planIssuance } from "./planIssuance.ts"

const day = 86_400
const letsEncrypt = { name: "letsencrypt", limits: letsEncryptLimits }
const apart = (count: number) => Array.from({ length: count }, (_, i) => `shop${i}.example${i}.com`)

describe("planIssuance", () => {
  it("100,000 names of as many domains: six weeks at one CA, nothing but its orders per account", () => {
    const plan = planIssuance(apart(100_000), [letsEncrypt])
    // 300 per 3 hours are 41.7 days; counted in slots of a quarter of an hour, up to 13/12 of that.
    assert.isAtLeast(plan.seconds / day, 41)
    assert.isAtMost(plan.seconds / day, 46)
    assert.strictEqual(plan.authorities[0]!.names, 100_000)
    assert.strictEqual(plan.authorities[0]!.heldBackBy[0]!.name, "new-orders")
  })

  it("400 names of one domain: eight weeks of 50; the small one does not wait for it", () => {
    const plan = planIssuance([...Array.from({ length: 400 }, (_, i) => `t${i}.large.com`), "www.small.com"], [letsEncrypt])
    assert.isAtLeast(plan.seconds / day, 49)
    assert.isAtMost(plan.seconds / day, 55)
    assert.deepStrictEqual([plan.lastDomain!.domain, plan.lastDomain!.names, plan.domains], ["large.com", 400, 2])
    assert.strictEqual(plan.authorities[0]!.heldBackBy[0]!.name, "certificates")
  })

  it("a second CA halves the time, one without limits ends it", () => {
    const one = planIssuance(apart(3_000), [letsEncrypt])
    const two = planIssuance(apart(3_000), [letsEncrypt, { name: "other", limits: letsEncryptLimits }])
    assert.isAtMost(two.seconds, one.seconds / 2 + 10_800)
    assert.strictEqual(two.authorities[0]!.names + two.authorities[1]!.names, 3_000)
    const free = planIssuance(apart(3_000), [letsEncrypt, { name: "free", limits: [] }])
    assert.strictEqual(free.seconds, 0)
    assert.strictEqual(free.authorities[1]!.names, 2_700)
  })

  it("CAA: a name waits for the CA that may issue, the others don't, and one that nobody may issue for is named", () => {
    const caa = (...values: ReadonlyArray<string>) => ({
      verdict: "found" as const,
      at: "example.com",
      records: values.map((value) => ({ flags: 0, tag: "issue", value })),
      error: null
    })
    const cas = [
      { name: "letsencrypt", identities: ["letsencrypt.org"] },
      { name: "other", identities: ["other.example"] }
    ]
    const permitted = (name: string, answer: CaaAnswer | undefined, ways: ReadonlyArray<Method> = methods) => [
      ...permittedBy(name, answer, cas, ways)
    ]
    assert.deepStrictEqual(permitted("a.example.com", caa("other.example")), ["other"])
    assert.deepStrictEqual(permitted("a.example.com", undefined), ["letsencrypt", "other"])
    assert.deepStrictEqual(permitted("a.example.com", caa("letsencrypt.org; accounturi=https://x/1")), [])
    const lasting = caa("letsencrypt.org; validationmethods=dns-persist-01")
    assert.deepStrictEqual(permitted("a.example.com", lasting), ["letsencrypt"])
    assert.deepStrictEqual(permitted("a.example.com", lasting, ["http-01", "dns-01"]), [])
    assert.deepStrictEqual(permitted("*.example.com", caa("letsencrypt.org; validationmethods=http-01")), [])

    // 600 names: half may have the CA with limits alone, one may have none.
    const names = [...apart(600), "never.example"]
    const permission = (name: string) =>
      name === "never.example" ? new Set<string>() : Number(/\d+/.exec(name)![0]) % 2 === 0 ? new Set(["letsencrypt"]) : undefined
    const plan = planIssuance(names, [{ ...letsEncrypt }, { name: "free", limits: [] }], permission)
    assert.deepStrictEqual(plan.forbidden, ["never.example"])
    const [limited, free] = plan.authorities
    assert.strictEqual(limited!.names + free!.names, 600)
    assert.strictEqual(free!.forbidden, 301)
    assert.isAtLeast(limited!.names, 300)
    const text = explainPlan(plan).join("\n")
    assert.include(text, "CAA forbids it 301")
    assert.include(text, "1 names can have none: their CAA records forbid every CA here, for example never.example")
  })

  it("reads names, and says what came out", () => {
    const { names, others } = readHostnames("Shop.Example.com.\n\nshop.example.com\nnot a name\nlocalhost\n")
    assert.deepStrictEqual(names, ["shop.example.com"])
    assert.deepStrictEqual(others, ["not a name", "localhost"])
    assert.include(explainPlan(planIssuance(apart(700), [letsEncrypt])).join("\n"), "new-orders (300 per account in 3 hours)")
    assert.deepStrictEqual(explainPlan(planIssuance([], [letsEncrypt])), ["0 names under 0 registrable domains"])
  })
})
