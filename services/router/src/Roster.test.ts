/** A roster beside a Set, through any course of additions and removals. */
import fc from "fast-check"
import { expect, it } from "vitest"
import { type Member, Roster } from "./Roster.ts"

it("holds what a Set would hold", () => {
  const course = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 9 })), { maxLength: 60 })
  fc.assert(
    fc.property(course, (steps) => {
      const members = Array.from({ length: 10 }, (): Member => ({ place: 0 }))
      const roster = new Roster<Member>()
      const set = new Set<Member>()
      for (const [add, at] of steps) {
        const member = members[at]!
        if (add) {
          roster.add(member)
          set.add(member)
        } else expect(roster.remove(member)).toBe(set.delete(member))
        expect(roster.size).toBe(set.size)
        for (const each of members) expect(roster.has(each)).toBe(set.has(each))
        expect(new Set(roster.list())).toEqual(set)
      }
    })
  )
})
