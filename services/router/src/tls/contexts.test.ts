/** Contexts: whose turn it is, once for all who want one, and what a rotation leaves standing. */
import type { SecureContext } from "node:tls"
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import { beforeAll, describe, expect, it } from "vitest"
import { Registry } from "../registry/Registry.ts"
import { certificateEntry, hostnameEntry, makeAuthority, testRing, testVault } from "../testing/TestEdge.ts"
import { Contexts, contextBytes } from "./Contexts.ts"
import { FairTurns, maxWaiting } from "./FairTurns.ts"
import { ServerNames } from "./ServerNames.ts"
import { ticketKeysAt, ticketName, ticketPeriodMillis } from "./ticketKeys.ts"

const busy = (millis: number) => {
  for (const until = performance.now() + millis; performance.now() < until; );
}
const never = () => expect.unreachable()
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe("E15: work in turns", () => {
  it("is shared out by owner, whoever asked first and most", async () => {
    const turns = new FairTurns()
    const done: Array<string> = []
    const job = (owner: string, millis = 1) =>
      turns.run(owner, {
        go: () => {
          busy(millis)
          done.push(owner)
        },
        drop: never
      })
    job("first", 20)
    for (let at = 0; at < 30; at++) job("storm")
    for (let at = 0; at < 3; at++) job("quiet")
    while (turns.waiting > 0) await turn()
    expect(done).toHaveLength(34)
    expect(done.slice(1, 7)).toEqual(["storm", "quiet", "storm", "quiet", "storm", "quiet"])
  })

  it("when too much waits, is dropped where most is: one owner's storm keeps nobody out", async () => {
    const turns = new FairTurns()
    const done: Array<string> = []
    const dropped: Array<string> = []
    const job = (owner: string, name: string) => turns.run(owner, { go: () => void done.push(name), drop: () => void dropped.push(name) })
    turns.run("storm", { go: () => busy(20), drop: never })
    for (let at = 0; at < maxWaiting; at++) job("storm", `storm ${at}`)
    job("quiet", "quiet 0")
    job("storm", "too much")
    job("quiet", "quiet 1")
    expect(turns.waiting).toBe(maxWaiting)
    expect(dropped).toEqual([`storm ${maxWaiting - 1}`, "too much", `storm ${maxWaiting - 2}`])
    while (turns.waiting > 0) await turn()
    expect(done.slice(0, 4)).toEqual(["storm 0", "quiet 0", "storm 1", "quiet 1"])
    expect(done).toHaveLength(maxWaiting)
  })

  it("is the newcomer's that is dropped when all have as much", () => {
    const turns = new FairTurns()
    turns.run("first", { go: () => busy(20), drop: never })
    for (let at = 0; at < maxWaiting; at++) turns.run(`owner ${at}`, { go: never, drop: never })
    let dropped = 0
    for (const owner of ["another", "owner 7"]) turns.run(owner, { go: never, drop: () => void dropped++ })
    expect([dropped, turns.waiting]).toEqual([2, maxWaiting])
    turns.close()
  })

  it("lets the loop turn while much waits, and goes on after a failure", async () => {
    const turns = new FairTurns()
    let done = 0
    const job = { go: () => void done++, drop: never }
    turns.run("a", { go: () => busy(20), drop: never })
    for (let at = 0; at < maxWaiting; at++) turns.run("a", job)
    let turned = 0
    while (turns.waiting > 0) {
      turned++
      await turn()
    }
    expect(done).toBe(maxWaiting)
    expect(turned).toBeGreaterThan(0)
    expect(() =>
      turns.run("a", {
        go: () => {
          throw new Error("broken")
        },
        drop: never
      })
    ).toThrow("broken")
    await turn()
    turns.run("a", job)
    expect(done).toBe(maxWaiting + 1)
  })
})

describe("E15: contexts", () => {
  const made: Array<CertificateEntry> = []
  beforeAll(async () => {
    const authority = await makeAuthority()
    for (let at = 0; at < 4; at++)
      made.push(await certificateEntry(authority, [`n${at}.test`], { certificate_id: `c${at}`, claim_id: `l${at}` }))
  })
  /** What is wanted now waits for another turn. */
  const useUp = (contexts: Contexts) => contexts.turns.run("t", { go: () => busy(20), drop: never })
  const want = (contexts: Contexts, at: number, ticket = "") =>
    new Promise<SecureContext | undefined>((resolve) => contexts.find({ certificate: made[at]!, tenant: "t", ticket }, resolve))

  it("are made once for all who want one at the same time", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    useUp(contexts)
    const several = await Promise.all([want(contexts, 0), want(contexts, 0), want(contexts, 0)])
    expect(several[0]).toBeDefined()
    expect(new Set(several).size).toBe(1)
    expect(contexts.made).toBe(1)
  })

  it("of which the coldest go by the budget, and one of a destroyed certificate at once", async () => {
    const contexts = new Contexts(testVault, 2 * contextBytes)
    for (const at of [0, 1, 1, 0, 0, 2, 2]) await want(contexts, at)
    expect([contexts.size, contexts.made]).toEqual([2, 3])
    await want(contexts, 0)
    expect(contexts.made).toBe(3)
    contexts.forget("c0")
    await want(contexts, 0)
    expect(contexts.made).toBe(4)
  })

  it("A13: are not made of a certificate that went while its handshakes waited", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    useUp(contexts)
    const waiting = want(contexts, 0)
    contexts.forget("c0")
    expect(await waiting).toBeUndefined()
    while (contexts.turns.waiting > 0) await turn()
    expect([contexts.size, contexts.made]).toEqual([0, 0])
  })

  it("A13: are made of the certificate that took its place meanwhile; a name that went gets none", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    const registry = new Registry()
    registry.onCertificateGone = (id) => contexts.forget(id)
    const names = new ServerNames({ table: registry, contexts, ensure: never })
    const next = { ...made[0]!, claim_id: "l1", certificate_id: "c1", chain: made[1]!.chain, sealed_key: made[1]!.sealed_key }
    const entry = hostnameEntry("n0.test", { claim_id: "l1", certificate_id: "first" })
    for (const certificate of [{ ...next, certificate_id: "first" }, next]) registry.putCertificate(certificate)
    registry.putHostname(entry, 1)
    const find = () => new Promise<SecureContext | undefined>((resolve) => names.find("n0.test", resolve))
    useUp(contexts)
    const waiting = find()
    registry.putHostname({ ...entry, certificate_id: "c1", version: entry.version + 1 }, 2)
    registry.endCertificates()
    registry.deleteCertificate("first")
    expect(await waiting).toBeDefined()
    contexts.forget("c1")
    useUp(contexts)
    const last = find()
    registry.deleteCertificate("c1")
    registry.putHostname({ ...entry, status: "released", certificate_id: null, version: entry.version + 2 }, 3)
    expect(await last).toBeUndefined()
    expect(names.counts).toEqual({ served: 1, unknown: 1, without: 0, broken: 0 })
    expect(contexts.made).toBe(1)
  })

  it("A13: nor kept under ticket keys that ended while they waited", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    const [first, , third, fourth] = [0, 1, 2, 4].map((period) => ticketKeysAt(testRing, period * ticketPeriodMillis))
    contexts.rotate(first!)
    useUp(contexts)
    const waiting = [want(contexts, 0), want(contexts, 0), want(contexts, 1)]
    contexts.rotate(third!)
    const [one, other] = await Promise.all(waiting)
    expect(one).toBeDefined()
    expect(other).toBe(one)
    expect([contexts.size, contexts.made]).toEqual([2, 2])
    expect(await want(contexts, 0)).toBe(one)
    useUp(contexts)
    const gone = want(contexts, 2)
    contexts.rotate(fourth!)
    contexts.forget("c2")
    expect(await gone).toBeUndefined()
    expect(contexts.made).toBe(2)
  })

  it("are refused to the tenant that wants most when too many are wanted", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    useUp(contexts)
    let refused = 0
    const storm = (at: number) => ({ ...made[0]!, certificate_id: `storm-${at}` })
    for (let at = 0; at < maxWaiting; at++)
      contexts.find({ certificate: storm(at), tenant: "storm", ticket: "" }, (context) => (refused += Number(context === undefined)))
    const first = want(contexts, 1)
    expect(refused).toBe(1)
    expect(await first).toBeDefined()
    contexts.close()
    expect(refused).toBe(maxWaiting)
  })

  it("are not made for clients that have gone meanwhile, unless somebody is left", async () => {
    const contexts = new Contexts(testVault, 1 << 30)
    useUp(contexts)
    let here = true
    const leaving = { tenant: "t", ticket: "", still: () => here }
    contexts.find({ ...leaving, certificate: made[0]! }, never)
    contexts.find({ ...leaving, certificate: made[1]! }, () => {})
    const stays = want(contexts, 1)
    here = false
    expect(await stays).toBeDefined()
    expect(contexts.made).toBe(1)
    expect(await want(contexts, 0)).toBeDefined()
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
