/** Which CA is asked for what. */
import { assert, describe, it } from "@effect/vitest"
import type { CertificateAuthority } from "./CertificateAuthority.ts"
import { candidatesFor, sharedOut } from "./candidates.ts"
import { drawFor } from "./planRenewal.ts"
import { issuerVanished } from "./Replacements.ts"

const day = 86_400_000
const ca = (directory: string) => ({ name: directory, directory }) as CertificateAuthority
const [first, second] = [ca("first"), ca("second")]
const all = [first, second]
const fresh = { order_directory: null, replace_reason: null }
const open = { now: 0, paused: new Map<string, Date>() }
const firstPaused = { now: 0, paused: new Map([["first", new Date(day)]]) }
const heldFrom = (directory: string, daysLeft: number) => ({
  directory,
  not_before: new Date((daysLeft - 90) * day),
  not_after: new Date(daysLeft * day)
})

describe("candidatesFor", () => {
  it("a new claim takes the preferred one, then the others", () => {
    assert.deepStrictEqual(candidatesFor(fresh, undefined, all, open), all)
  })
  it("new names are shared out by weight, each always to the same; the others follow in their order", () => {
    const third = ca("third")
    const share = (draw: number, weights: ReadonlyArray<number>) => sharedOut([first, second, third], weights, draw).map(({ name }) => name)
    assert.deepStrictEqual(share(0.99, [1, 0, 0]), ["first", "second", "third"])
    assert.deepStrictEqual(share(0, [0, 0, 1]), ["third", "first", "second"])
    const drawn = Array.from({ length: 10_000 }, (_, i) => share(drawFor(`claim-${i}`), [3, 1, 0])[0])
    const firsts = drawn.filter((name) => name === "first").length
    assert.isAtLeast(firsts, 7_300)
    assert.isAtMost(firsts, 7_700)
    assert.notInclude(drawn, "third")
  })
  it("passes by a CA that takes no orders, unless there is no other", () => {
    assert.deepStrictEqual(candidatesFor(fresh, undefined, all, firstPaused), [second])
    assert.deepStrictEqual(candidatesFor(fresh, undefined, [first], firstPaused), [first])
  })
  it("goes on where an order is under way", () => {
    assert.deepStrictEqual(candidatesFor({ ...fresh, order_directory: "second" }, undefined, all, open), [second, first])
  })
  it("renews with who issued, even when new orders are paused there, and asks others only when time runs out", () => {
    assert.deepStrictEqual(candidatesFor(fresh, heldFrom("second", 30), all, open), [second])
    assert.deepStrictEqual(candidatesFor(fresh, heldFrom("first", 30), all, firstPaused), [first])
    assert.deepStrictEqual(candidatesFor(fresh, heldFrom("first", 10), all, open), [first, second])
  })
  it("a certificate of a CA that is no longer configured, or has forgotten everything, counts as none; a replacement stays", () => {
    assert.deepStrictEqual(candidatesFor(fresh, heldFrom("former", 30), all, open), all)
    assert.deepStrictEqual(candidatesFor({ ...fresh, replace_reason: issuerVanished }, heldFrom("second", 30), all, open), all)
    assert.deepStrictEqual(candidatesFor({ ...fresh, replace_reason: "revoked" }, heldFrom("second", 30), all, open), [second])
  })
  it("a CA that refused the name itself is asked last", () => {
    assert.deepStrictEqual(candidatesFor(fresh, undefined, all, { ...open, refusing: new Set(["first"]) }), [second, first])
    assert.deepStrictEqual(candidatesFor(fresh, undefined, [first], { ...open, refusing: new Set(["first"]) }), [first])
  })
})
