/** The corpus against the pure readers, in one piece and byte by byte. */
import { describe, expect, it } from "vitest"
import { isRefusal } from "../Refusal.ts"
import { corpus } from "./corpus.ts"
import { judge } from "./judge.ts"

describe("E1, E2: the corpus of raw requests", () => {
  it("has at least 150 cases, each with a name of its own", () => {
    expect(corpus.length).toBeGreaterThanOrEqual(150)
    expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
  })

  it.each(corpus.map((each) => [each.name, each] as const))("%s", (_, { bytes, expect: wanted, body, requests, refusedBehind }) => {
    for (const cut of bytes.length > 4096 ? [bytes.length, 1000] : [bytes.length, 1, 7]) {
      const verdict = judge(bytes, cut)
      if (requests !== undefined) {
        expect(pipeline(bytes, cut)).toEqual([...requests, ...(refusedBehind === undefined ? [] : [refusedAs(refusedBehind)])])
      } else if (verdict === "unfinished") expect(wanted).toBe("more bytes")
      else if (isRefusal(verdict))
        expect(wanted === "served" ? "served" : cut === bytes.length ? wanted : refusedAs(wanted)).toBe(
          cut === bytes.length ? verdict.status : refusedAs(verdict.status)
        )
      else {
        expect(wanted).toBe("served")
        expect(verdict.rest).toBe("")
        if (body !== undefined) expect(verdict.body).toBe(body)
      }
    }
  })
})

/** Method, target and body of each request, and how they end if not well. */
const pipeline = (bytes: string, cut: number) => {
  const read: Array<unknown> = []
  for (let rest = bytes; rest !== ""; ) {
    const verdict = judge(rest, cut)
    if (verdict === "unfinished") return [...read, verdict]
    if (isRefusal(verdict)) return [...read, refusedAs(verdict.status)]
    read.push([verdict.head.method, verdict.head.target, verdict.body])
    if (verdict.head.close) return read
    rest = verdict.rest
  }
  return read
}

/** A head that comes in pieces may be refused before it is complete, then with 400. */
const refusedAs = (status: number): string => (status >= 400 && status < 600 ? "refused" : String(status))
