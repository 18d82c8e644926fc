import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { allBuckets, allCalls, allWork, catalogue } from "./catalogue.ts"
import { lookOwnership } from "./connector.ts"
import { call, subjectOf, work } from "./definition.ts"
import { connectionEvent } from "./events.ts"
import { encodings, goldenFolder } from "./golden.ts"
import { consumers, deadSubject, streams } from "./topology.ts"

describe("the catalogue", () => {
  it("names each subject and bucket once", () => {
    const names = [...allWork.map((d) => d.subject), ...allCalls.map((d) => d.subject), ...allBuckets.map((d) => d.bucket)]
    expect(new Set(names).size).toBe(names.length)
  })

  it("gives every work message a stream and exactly one consumer", () => {
    for (const definition of allWork) {
      const prefix = definition.subject.split(".").slice(0, 5).join(".")
      expect(streams.filter((stream) => stream.subjects.includes(`cd.work.v1.${definition.to}.>`))).toHaveLength(1)
      expect(consumers.filter((consumer) => consumer.filters.includes(`${prefix}.>`) && consumer.service === definition.to)).toHaveLength(1)
    }
  })

  it("refuses a subject that does not name its receiver", () => {
    expect(() => work({ subject: "cd.work.v1.billing.meter.add", from: ["gateway"], to: "router", payload: Schema.Struct({}) })).toThrow(
      "router"
    )
    expect(() =>
      call({ subject: "cd.call.billing.x", from: [], to: "billing", payload: Schema.Struct({}), success: Schema.Struct({}) })
    ).toThrow()
  })

  it("puts values into subjects, and never a wildcard or an empty token", () => {
    expect(subjectOf(lookOwnership, { connection_id: "c1" })).toBe("cd.work.v1.connector.observer.ownership.c1")
    expect(subjectOf(connectionEvent, { tenant_id: "t", connection_id: "c", type: "domain.flow.completed" })).toBe(
      "cd.events.v1.t.c.domain.flow.completed"
    )
    for (const value of ["", "*", "a.>", "a b", ".a", undefined]) {
      expect(() => subjectOf(lookOwnership, { connection_id: value })).toThrow("connection_id")
    }
  })

  it("keeps a dead message's tail", () => {
    expect(deadSubject("cd.work.v1.connector.zone.apply.c1")).toBe("cd.dead.v1.work.connector.zone.apply.c1")
  })
})

describe("encodings once shipped", () => {
  const wanted = [...catalogue].flatMap(([name, definition]) => encodings(name, definition))

  it.each(wanted)("%s still decodes", (file, schema) => {
    const path = join(goldenFolder, `${file}.v1.json`)
    expect(existsSync(path), `${file} has no golden file: run node libs/messages/src/golden.ts`).toBe(true)
    for (const encoded of JSON.parse(readFileSync(path, "utf8"))) {
      expect(Schema.encodeUnknownSync(schema)(Schema.decodeUnknownSync(schema)(encoded))).toEqual(encoded)
    }
  })

  it("has no golden file without a definition: what was shipped stays in the catalogue", () => {
    const known = new Set(wanted.map(([file]) => `${file}.v1.json`))
    expect(readdirSync(goldenFolder).filter((file) => !known.has(file))).toEqual([])
  })
})
