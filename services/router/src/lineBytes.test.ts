import { describe, expect, it } from "vitest"
import { putHundredths, putNumber, putText } from "./lineBytes.ts"

const written = (put: (out: Buffer) => number): string => {
  const out = Buffer.alloc(256, "-")
  const end = put(out)
  expect(out.toString("latin1", end)).toMatch(/^-*$/)
  return out.toString("latin1", 0, end)
}

describe("pieces of a line", () => {
  it.each([0, 7, 10, 99, 100, 65_535, 4_294_967_296, Number.MAX_SAFE_INTEGER])("%i", (number) => {
    expect(written((out) => putNumber(out, putText(out, 0, "x"), number))).toBe(`x${number}`)
  })

  it.each([0, 0.004, 0.005, 0.1, 0.999, 1.5, 12.34, 99.995, 123_456.789, 21_474_836.47, 21_474_836.48, 604_800_000.25])(
    "%d with two digits",
    (number) => {
      const text = written((out) => putHundredths(out, 0, number))
      expect(text).toMatch(/^[0-9]+\.[0-9]{2}$/)
      expect(Number(text)).toBe(Math.round(number * 100) / 100)
    }
  )

  it.each(["", "a", "é".repeat(30), "b".repeat(200), `${"c".repeat(30)}${String(Math.PI)}`])("%s", (text) => {
    expect(written((out) => putText(out, 0, text))).toBe(text)
  })
})
