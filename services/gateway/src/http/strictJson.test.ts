import { Result } from "effect"
import fc from "fast-check"
import { expect, it } from "vitest"
import { parseStrictJson } from "./strictJson.ts"

const fieldOf = (text: string) => {
  const result = parseStrictJson(text)
  return Result.isFailure(result) ? result.failure.field : "accepted"
}

it.each([
  ["", "body"],
  ["{", "body"],
  ["{a:1}", "body"],
  ['{"a":1,"a":2}', "a"],
  ['{"a":1,"\\u0061":2}', "a"],
  ['{"b":{"c":1,"c":1}}', "b.c"],
  ['{"b":[{},{"c":1,"c":1}]}', "b[1].c"],
  ['{"__proto__":{}}', "__proto__"],
  ['{"\\u005f_proto__":{}}', "__proto__"],
  ['{"a":"\\u0000"}', "a"],
  ['{"a":["x","\\ud800"]}', "a[1]"],
  [`${"[".repeat(17)}${"]".repeat(17)}`, "body"],
  [`[${"1,".repeat(3000)}1]`, "body"]
])("%s is refused at %s", (text, field) => expect(fieldOf(text)).toBe(field))

it("reads whatever else JSON.stringify writes, as JSON.parse does", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value)
      if (text.includes("__proto__") || text.includes("\\u0000") || text.includes("\\ud")) return
      expect(Result.getOrThrow(parseStrictJson(text))).toEqual(JSON.parse(text))
    })
  )
  expect(fieldOf('{"a":{"a":1},"b":[{"a":1},{"a":"}{,\\"a\\":"}]}')).toBe("accepted")
})
