/** E8: port 80 at its limits: the newest connections stay, of each client and of all. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NewestConnections } from "./NewestConnections.ts"

describe("E8: connections of port 80", () => {
  it("make room for new ones: a client's oldest goes at its limit, the oldest of all at the limit of all", () => {
    const connections = new NewestConnections<number>(2, 3)
    expect(connections.enter("192.0.2.1", 1)).toBeUndefined()
    expect(connections.enter("192.0.2.1", 2)).toBeUndefined()
    expect(connections.enter("192.0.2.1", 3)).toBe(1)
    expect(connections.enter("2001:db8::1", 4)).toBeUndefined()
    expect(connections.enter("192.0.2.9", 5)).toBe(2)
    expect(connections.enter("2001:db8::2", 6)).toBe(3)
    expect(connections.enter("2001:db8::3", 7)).toBe(4)
  })

  it("are never more than allowed, and the newest is always among them", () => {
    const client = fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:1::1")
    fc.assert(
      fc.property(
        fc.array(fc.record({ client, leaves: fc.boolean() }), { maxLength: 100 }),
        fc.integer({ min: 1, max: 4 }),
        (steps, most) => {
          const connections = new NewestConnections<number>(2, most)
          const open = new Map<number, string>()
          for (const [at, step] of steps.entries()) {
            const oldest = [...open].find(([, address]) => address === step.client)?.[0]
            if (step.leaves && oldest !== undefined) {
              connections.leave(oldest)
              open.delete(oldest)
              continue
            }
            const gone = connections.enter(step.client, at)
            if (gone !== undefined) expect(open.delete(gone)).toBe(true)
            open.set(at, step.client)
            expect(open.size).toBeLessThanOrEqual(most)
            expect([...open.values()].filter((address) => address === step.client).length).toBeLessThanOrEqual(2)
          }
        }
      )
    )
  })
})
