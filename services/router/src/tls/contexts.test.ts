/** Contexts: whose turn it is, once for all who want one, and what a rotation leaves standing. */
import type { SecureContext } from "node:tls"
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import { beforeAll, describe, expect, it } from "vitest"
import { certificateEntry, makeAuthority, testRing, testVault } from "../testing/TestEdge.ts"
import { Contexts, contextBytes } from "./Contexts.ts"
import { FairTurns } from "./FairTurns.ts"
import { ticketKeysAt, ticketName, ticketPeriodMillis } from "./ticketKeys.ts"

const busy = (millis: number) => {
  for (const until = performance.now() + millis; performance.now() < until; );
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe("E15: work in turns", () => {
  it("is shared out by owner, whoever asked first and most", async () => {
    const turns = new FairTurns()
    const done: Array<string> = []
    const job = (owner: string, millis = 1) =>
      turns.run(owner, () => {
        busy(millis)
        done.push(owner)
      })
    job("first", 20)
    for (let at = 0; at < 30; at++) job("storm")
    for (let at = 0; at < 3; at++) job("quiet")
    while (turns.waiting > 0) await turn()
    expect(done).toHaveLength(34)
    expect(done.slice(1, 7)).toEqual(["storm", "quiet", "storm", "quiet", "storm", "quiet"])
  })

  it("lets the loop turn while much waits, goes on after a failure, and refuses what is too much", async () => {
    const turns = new FairTurns()
    let done = 0
    turns.run("a", () => busy(20))
    while (turns.run("a", () => void done++));
    expect(turns.waiting).toBe(8192)
    let turned = 0
    while (turns.waiting > 0) {
      turned++
      await turn()
    }
    expect(done).toBe(8192)
    expect(turned).toBeGreaterThan(0)
    expect(() =>
      turns.run("a", () => {
        throw new Error("broken")
      })
    ).toThrow("broken")
    await turn()
    turns.run("a", () => void done++)
    expect(done).toBe(8193)
  })
})

describe("E15: contexts", () => {
  const made: Array<CertificateEntry> = []
  beforeAll(async () => {
    const authority = await makeAuthority()
    for (let at = 0; at < 4; at++)
      made.push(await certificateEntry(authority, [`n${at}.test`], { certificate_id: `c${at}`, claim_id: `l${at}` }))
  })
  const want = (contexts: Contexts, at: number, ticket = "") =>
    new Promise<SecureContext | undefined>((resolve) => contexts.find({ certificate: made[at]!, tenant: "t", ticket }, resolve))

  it("are made once for all who want one at the same time", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    contexts.turns.run("t", () => busy(20))
    const several = await Promise.all([want(contexts, 0), want(contexts, 0), want(contexts, 0)])
    expect(several[0]).toBeDefined()
    expect(new Set(several).size).toBe(1)
    expect(contexts.made).toBe(1)
  })

  it("of which the coldest go by the budget, and one of a destroyed certificate at once", async () => {
    const contexts = new Contexts(testVault, 2 * contextBytes)
    for (const at of [0, 1, 0, 2]) await want(contexts, at)
    expect([contexts.size, contexts.made]).toEqual([2, 3])
    await want(contexts, 0)
    expect(contexts.made).toBe(3)
    contexts.forget("c0")
    await want(contexts, 0)
    expect(contexts.made).toBe(4)
  })

  it("are not made of a key that does not open", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    const moved = { ...made[0]!, claim_id: "somebody-else" }
    expect(await new Promise((resolve) => contexts.find({ certificate: moved, tenant: "t", ticket: "" }, resolve))).toBeUndefined()
    expect(contexts.failed).toBe(1)
  })

  it("E13: serve on through a rotation until the next is made, and for tickets of the period before", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    const [first, second, third] = [0, 1, 2].map((period) => ticketKeysAt(testRing, period * ticketPeriodMillis)) as [
      ReturnType<typeof ticketKeysAt>,
      ReturnType<typeof ticketKeysAt>,
      ReturnType<typeof ticketKeysAt>
    ]
    contexts.rotate(first)
    const before = await want(contexts, 0)
    contexts.rotate(second)
    expect(await want(contexts, 0)).toBe(before)
    await turn()
    const after = await want(contexts, 0)
    expect(after).not.toBe(before)
    expect(await want(contexts, 0, ticketName(first.current))).toBe(before)
    expect(await want(contexts, 0, "ff".repeat(16))).toBe(after)
    contexts.rotate(third)
    expect(await want(contexts, 0, ticketName(first.current))).toBe(after)
    expect(first.current).toHaveLength(48)
    expect(2 * ticketPeriodMillis).toBeLessThanOrEqual(24 * 3_600_000)
  })
})
