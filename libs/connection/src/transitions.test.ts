import { describe, expect, it } from "vitest"
import { commandNames } from "./Command.ts"
import { states, turnOf } from "./State.ts"
import { rowsOf, transitions } from "./transitions.ts"

const pairs = states.flatMap((state) => commandNames.map((command) => ({ state, command })))

describe("transitions", () => {
  it.each(pairs)("$state on $command is decided on purpose", ({ state, command }) => {
    const rows = rowsOf(state, command)
    const conditions = rows.map((row) => row.when)
    expect(conditions.at(-1), "the last row fits always").toBeUndefined()
    expect(conditions.slice(0, -1), "no row hides those after it").not.toContain(undefined)
    expect(new Set(conditions).size, "no condition twice").toBe(conditions.length)
  })

  it("gives a reason for every row", () => {
    for (const row of transitions) expect(row.why.length).toBeGreaterThan(10)
  })

  it("leaves archived never, and failed only to be archived", () => {
    const leads = (from: string) => transitions.filter((row) => row.from.some((state) => state === from)).map((row) => row.to)
    expect(new Set(leads("archived"))).toEqual(new Set(["stay", "refuse"]))
    expect(new Set(leads("failed"))).toEqual(new Set(["stay", "refuse", "archived"]))
  })

  it("says whose turn it is in every state", () => {
    expect(Object.keys(turnOf).sort()).toEqual([...states].sort())
  })

  it("lets nothing but the edges' report lead from issuing_cert to live", () => {
    const toLive = transitions.filter((row) => row.to === "live").map((row) => [row.from, row.command, row.when])
    expect(toLive).toEqual([
      [["drifted"], "RecordsObserved", "recordsMatch"],
      [["issuing_cert"], "EdgesReported", "certificateServed"]
    ])
  })
})
