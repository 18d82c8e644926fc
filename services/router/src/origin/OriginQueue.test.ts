/** E8: who waits for an origin at its cap, whose turn it is, and who goes without. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { OriginQueue, type Waiter } from "./OriginQueue.ts"

const waiter = (client: string): Waiter => ({ client, place: 0, deadline: 0, go: () => {}, drop: () => {}, onDeadline: () => {} })

describe("E8: requests that wait for one origin", () => {
  it("are taken client by client, each client's in their order", () => {
    const queue = new OriginQueue(10)
    const flood = [1, 2, 3, 4].map(() => waiter("loud"))
    const [quiet, other] = [waiter("quiet"), waiter("other")]
    for (const each of [...flood, quiet, other]) expect(queue.add(each)).toBeUndefined()
    expect([1, 2, 3, 4, 5, 6].map(() => queue.next())).toEqual([flood[0], quiet, other, flood[1], flood[2], flood[3]])
    expect([queue.next(), queue.size]).toEqual([undefined, 0])
  })

  it("are dropped when there is no room: the newest of who has most; the newcomer when that is himself", () => {
    const queue = new OriginQueue(3)
    const flood = [1, 2, 3].map(() => waiter("loud"))
    for (const each of flood) queue.add(each)
    const [more, quiet, other] = [waiter("loud"), waiter("quiet"), waiter("other")]
    expect(queue.add(more)).toBe(more)
    expect(queue.add(quiet)).toBe(flood[2])
    // Two against one: with one more the newcomer would have as many, so somebody's second goes rather than his first.
    expect(queue.add(other)).toBe(flood[1])
    const last = waiter("last")
    expect(queue.add(last)).toBe(last)
    expect([queue.next(), queue.next(), queue.next(), queue.next()]).toEqual([flood[0], quiet, other, undefined])
  })

  it("that are none any more leave nothing behind; none may wait in a queue of none", () => {
    const queue = new OriginQueue(2)
    const [one, two] = [waiter("a"), waiter("a")]
    queue.add(one)
    queue.add(two)
    queue.remove(one)
    queue.remove(one)
    expect([queue.size, queue.next(), queue.next()]).toEqual([1, two, undefined])
    const none = new OriginQueue(0)
    expect([none.add(one), none.size, none.next()]).toEqual([one, 0, undefined])
  })

  it("stay within the bound, are each given back once, and nobody's first waits longer than a round of the clients", () => {
    const step = fc.record({ client: fc.constantFrom("a", "b", "c", "d"), act: fc.constantFrom("add", "add", "add", "next", "remove") })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(12), (steps, most) => {
        const queue = new OriginQueue(most)
        const waiting = new Set<Waiter>()
        const passed = new Map<string, number>()
        for (const { client, act } of steps) {
          if (act === "add") {
            const added = waiter(client)
            waiting.add(added)
            const dropped = queue.add(added)
            if (dropped !== undefined) expect(waiting.delete(dropped)).toBe(true)
          } else if (act === "remove") {
            const gone = [...waiting].find((each) => each.client === client)
            if (gone === undefined) continue
            queue.remove(gone)
            waiting.delete(gone)
          } else {
            const next = queue.next()
            expect(next !== undefined).toBe(waiting.size > 0)
            if (next === undefined) continue
            expect(next).toBe([...waiting].find((each) => each.client === next.client))
            waiting.delete(next)
            passed.set(next.client, 0)
            for (const each of new Set([...waiting].map((one) => one.client))) passed.set(each, (passed.get(each) ?? 0) + 1)
          }
          for (const each of passed.keys()) if (![...waiting].some((one) => one.client === each)) passed.delete(each)
          expect(queue.size).toBe(waiting.size)
          expect(queue.size).toBeLessThanOrEqual(most)
          for (const turns of passed.values()) expect(turns).toBeLessThanOrEqual(4)
        }
      })
    )
  })
})
