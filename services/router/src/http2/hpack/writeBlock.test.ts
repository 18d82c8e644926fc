/** HPACK blocks of answers, read by the edge's own decoder. Node's decoder reads them in `properties.integration.test.ts`. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { isRefusal } from "../../http1/Refusal.ts"
import { readResponseHead } from "../../http1/responseHead.ts"
import { HpackDecoder } from "./HpackDecoder.ts"
import { staticNames } from "./staticTable.ts"
import { blockRoom, writeLength, writeLines, writePassed, writeStatus } from "./writeBlock.ts"

const encode = (status: number, lines: string): Buffer => {
  const out = Buffer.alloc(blockRoom(lines.length))
  const end = writeLines(out, writeStatus(out, 0, status), lines)
  expect(end).toBeLessThanOrEqual(out.length)
  return out.subarray(0, end)
}
/** As `encode`, of an origin's head with these lines. */
const encodePassed = (lines: string): Buffer => {
  const head = readResponseHead(Buffer.from(`HTTP/1.1 200 OK\r\n${lines}\r\n`, "latin1"))
  if (isRefusal(head)) throw new Error(head.code)
  const out = Buffer.alloc(blockRoom(head.passed.length))
  const end = writePassed(out, 0, head.passed)
  expect(end).toBeLessThanOrEqual(out.length)
  return out.subarray(0, end)
}
const decode = (block: Buffer) =>
  new HpackDecoder(4096).decode(block, 10_000_000, 10_000)?.fields.flatMap(({ name, value }) => [name, value])

const name = fc.oneof(
  fc.stringMatching(/^[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,200}$/),
  fc.constantFrom(...staticNames.filter((each) => /^[a-z]/.test(each)))
)
/** Any byte that may stand in a value (RFC 9110 §5.5), none of those that are trimmed at either end. */
const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,300}$/).map((text) => text.replace(/^[\t ]+|[\t ]+$/g, ""))
const padding = fc.constantFrom("", " ", "\t", " \t ")

describe("a block", () => {
  it("says what its lines say", () => {
    const line = fc.record({ name, value, before: padding, after: padding })
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), fc.integer({ min: 100, max: 599 }), (lines, status) => {
        const text = lines.map((each) => `${each.name}:${each.before}${each.value}${each.after}\r\n`).join("")
        const fields = lines.flatMap((each) => [each.name.toLowerCase(), each.value])
        expect(decode(encode(status, text))).toEqual([":status", String(status), ...fields])
      })
    )
  })

  it("says of lines as they came what they say as text", () => {
    const plain = name.map((each) => `x-${each}`) // none that is for this hop only
    const line = fc.record({ name: plain, value, before: padding, after: padding, beforeColon: fc.constantFrom("", "", "", " ", "\t ") })
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
        const text = lines.map((each) => `${each.name}${each.beforeColon}:${each.before}${each.value}${each.after}\r\n`).join("")
        const fields = lines.flatMap((each) => [each.name.toLowerCase(), each.value])
        expect(decode(encodePassed(text))).toEqual(fields)
      })
    )
  })

  it.each([0, 9, 10, 1024, 99_999, Number.MAX_SAFE_INTEGER])("says how long a body is: %i", (length) => {
    const out = Buffer.alloc(blockRoom(0))
    expect(decode(out.subarray(0, writeLength(out, 0, { status: 200, length })))).toEqual(["content-length", String(length)])
  })

  it("says no length of one that has none", () => {
    expect(writeLength(Buffer.alloc(9), 3, { status: 200, length: -1 })).toBe(3)
    expect(writeLength(Buffer.alloc(9), 3, { status: 204, length: 5 })).toBe(3)
  })

  it.each([126, 127, 128, 254, 255, 16_510, 16_511, 40_000, 100_000])("has room for a value of %i bytes", (length) => {
    expect(decode(encode(200, `x-long: ${"v".repeat(length)}\r\n`))?.at(-1)).toHaveLength(length)
  })

  it.each([1, 64, 65, 127, 300])("has room for many names and values of %i bytes", (length) => {
    const line = `${"n".repeat(length)}:${"v".repeat(length)}\r\n`
    expect(decode(encode(503, line.repeat(50)))).toHaveLength(102)
  })

  it("uses the static table for names, and never indexes what is secret (RFC 7541 §6.2.3)", () => {
    expect(encode(200, "Set-Cookie: a=b\r\n").toString("hex")).toBe(`88${"1f28"}03${Buffer.from("a=b").toString("hex")}`)
    expect(encode(204, "date: x\r\n").toString("hex")).toBe("890f120178")
  })
})
