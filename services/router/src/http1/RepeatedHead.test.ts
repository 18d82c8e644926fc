/** E4: what is known of an origin's heads changes how they are read, never what they say. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { blockRoom, writePassed } from "../http2/hpack/writeBlock.ts"
import { HeadSearch } from "./HeadSearch.ts"
import { isRefusal } from "./Refusal.ts"
import { RepeatedHead } from "./RepeatedHead.ts"
import { readResponseHead } from "./responseHead.ts"

const search = new HeadSearch()

/** As `ResponseReader` reads it: everything that is made of the head, or why there is none. */
const read = (text: string, repeated?: RepeatedHead): unknown => {
  const bytes = Buffer.from(text, "latin1")
  const end = search.find(bytes, 0, bytes.length, repeated)
  if (end < 4) return "unfinished"
  const head = readResponseHead(bytes, end, search.scanned, repeated)
  if (isRefusal(head)) return head
  const { passed, ...said } = head
  const [block, copy] = [Buffer.alloc(blockRoom(passed.length)), Buffer.alloc(passed.length)]
  const [blockEnd, copied] = [writePassed(block, 0, passed), passed.putInto(copy, 0)]
  const made = { ...said, end, length: passed.length, copied, copy: copy.toString("latin1"), block: block.toString("latin1", 0, blockEnd) }
  return { ...made, date: passed.has("date"), text: passed.takeText(), left: passed.text }
}

/** After so many heads the origin's are known. */
const enough = 70
const headOf = (lines: ReadonlyArray<string>, status = "200 OK"): string =>
  `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`
const usual = [
  "Server: s",
  "Date: today",
  "Content-Type: text/plain",
  "Content-Length: 3",
  "ETag: e",
  "Connection: keep-alive",
  "X-A:  b \t"
]

/** What is known after the heads of these lines. */
const knownOf = (...heads: ReadonlyArray<ReadonlyArray<string>>): RepeatedHead => {
  const repeated = new RepeatedHead()
  for (let at = 0; at < enough; at++) read(headOf(heads[at % heads.length]!), repeated)
  return repeated
}
const countsOf = ({ runs }: RepeatedHead) => [...runs].map((run) => run?.count ?? 0)

describe("E4: heads that repeat", () => {
  it("are known after a while: what stays the same, between what varies", () => {
    expect(countsOf(knownOf(usual))).toEqual([7])
    const varied = usual.map((line) => (line.startsWith("ETag") || line.startsWith("Content-Length") ? `${line}4` : line))
    expect(countsOf(knownOf(usual, varied))).toEqual([3, 0, 0, 0, 0, 2])
    expect(countsOf(knownOf(usual, usual.slice(1)))).toEqual([])
    expect(countsOf(knownOf(usual, ["server: s", ...usual.slice(1)]))).toEqual([])
    expect(countsOf(knownOf([]))).toEqual([])
  })

  it("are looked at again when they have changed", () => {
    const repeated = knownOf(usual)
    const other = [...usual.slice(1), "X-B: c", "X-C: d"]
    for (let at = 0; at < enough; at++) read(headOf(other), repeated)
    expect(countsOf(repeated)).toEqual([8])
  })

  it("are looked at as a whole, also where some of it is known", () => {
    const varied = usual.map((line) => (line.startsWith("Content-Length") ? `${line}4` : line))
    const repeated = knownOf(usual, varied)
    expect(countsOf(repeated)).toEqual([3, 0, 0, 0, 3])
    const other = [...usual.slice(0, -1), "X-A: another"]
    for (let at = 0; at < enough; at++) read(headOf(other), repeated)
    expect(countsOf(repeated)).toEqual([7])
    expect(read(headOf(other), repeated)).toEqual(read(headOf(other)))
  })

  it("are known where that is worth it: not a few bytes, nor a line here and there of many", () => {
    const many = (length: number, odd: string) =>
      Array.from({ length: 30 }, (_, at) => `X: ${(at % 2 ? odd : "e").padEnd(length - 5, "y")}`)
    expect(countsOf(knownOf(many(24, "a"), many(24, "b")))).toEqual(Array.from({ length: 15 }, (_, at) => 1 - (at % 2)))
    expect(countsOf(knownOf(many(23, "a"), many(23, "b")))).toEqual([])
  })

  it("are forgotten when they become too large to be remembered", () => {
    const large = ["X-Large: ".padEnd(5000, "x"), ...usual]
    expect(countsOf(knownOf(large))).toEqual([])
    const repeated = knownOf(usual)
    for (let at = 0; at < enough; at++) read(headOf(large), repeated)
    expect(countsOf(repeated)).toEqual([])
  })

  it.each([
    ["the same again", headOf(usual)],
    ["another status", headOf(usual, "404 Not Found")],
    ["another version", headOf(usual).replace("1.1", "1.0")],
    ["a line more in front", headOf(["X: y", ...usual])],
    ["a line more at the end", headOf([...usual, "X: y"])],
    ["a line less in front", headOf(usual.slice(1))],
    ["a line less at the end", headOf(usual.slice(0, -1))],
    ["a second length", headOf([...usual, "Content-Length: 3"])],
    ["a second length that is another", headOf([...usual, "Content-Length: 4"])],
    ["an encoding besides", headOf([...usual, "Transfer-Encoding: chunked"])],
    ["an option that takes known lines away", headOf([...usual, "Connection: x-a, etag"])],
    ["no end", headOf(usual).slice(0, -2)],
    ["no whole last line", headOf(usual).slice(0, -4)],
    ["a bare line feed behind it", `${headOf(usual).slice(0, -2)}\n\r\n`],
    ["a folded line behind it", `${headOf(usual).slice(0, -2)} folded\r\n\r\n`],
    ["a NUL behind it", `${headOf(usual).slice(0, -2)}X: \0\r\n\r\n`]
  ])("%s: it says what it says to whoever knows nothing", (_, text) => {
    expect(read(text, knownOf(usual))).toEqual(read(text))
    expect(read(`${text}HTTP/1.1 200 OK\r\n`, knownOf(usual))).toEqual(read(`${text}HTTP/1.1 200 OK\r\n`))
  })

  it("say what they say, in any order of heads of any lines", () => {
    let known = 0
    const line = fc.constantFrom(
      ...usual,
      ...[
        "Content-Length: 12",
        "Connection: close",
        "Connection: x-a, server",
        "Transfer-Encoding: chunked",
        "Keep-Alive: timeout=5",
        "TE: x"
      ],
      ...[
        "Date: tomorrow",
        "X-Long: ".padEnd(300, "y"),
        "Set-Cookie: a=b",
        "Upgrade: h2c",
        "Content_Length: 3",
        "bad line",
        "Server : s",
        ": x"
      ]
    )
    const change = fc.record({ at: fc.nat(8), remove: fc.nat(1), add: fc.array(line, { maxLength: 1 }) })
    const heads = fc.tuple(fc.array(line, { maxLength: 8 }), fc.array(fc.array(change, { maxLength: 2 }), { minLength: 1, maxLength: 6 }))
    fc.assert(
      fc.property(heads, fc.array(fc.nat(9), { minLength: 150, maxLength: 300 }), ([first, changes], order) => {
        const repeated = new RepeatedHead()
        for (const which of order) {
          const lines = [...first]
          for (const { add, at, remove } of changes[which] ?? []) lines.splice(at, remove, ...add)
          const text = `${headOf(lines)}behind`
          expect(read(text, repeated)).toEqual(read(text))
          known += countsOf(repeated).length
        }
      }),
      { numRuns: 60 }
    )
    expect(known).toBeGreaterThan(0)
  })
})
