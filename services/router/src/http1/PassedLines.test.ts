/** E4: of an origin's head, the lines that pass, as bytes and as text. */
import { describe, expect, it } from "vitest"
import { isRefusal } from "./Refusal.ts"
import { type ResponseHead, readResponseHead } from "./responseHead.ts"

const read = (lines: ReadonlyArray<string>): ResponseHead => {
  const head = readResponseHead(Buffer.from(`HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`, "latin1"))
  if (isRefusal(head)) throw new Error(head.code)
  return head
}
const copied = ({ passed }: ResponseHead): string => {
  const out = Buffer.alloc(passed.length + 2, "-")
  expect(passed.putInto(out, 1)).toBe(passed.length + 1)
  return out.toString("latin1")
}

describe("E4: lines that pass", () => {
  it.each([
    ["all", ["A: 1", "B: 2"], ["A: 1", "B: 2"]],
    ["none", [], []],
    ["none of them", ["Content-Length: 3", "Connection: close"], []],
    [
      "those between others",
      ["Connection: close", "A: 1", "Content-Length: 3", "B:  2\t", "C:", "Keep-Alive: timeout=3"],
      ["A: 1", "B:  2\t", "C:"]
    ],
    ["none that Connection names", ["X-Hop: 1", "A: 1", "connection: x-hop, keep-alive", "x-HOP: 2", "X-Hope: 3"], ["A: 1", "X-Hope: 3"]],
    [
      "none of a thousand that Connection names, among others",
      [
        ...Array.from({ length: 980 }, (_, at) => `x${at}: 1`),
        `Connection: ${Array.from({ length: 980 }, (_, at) => `x${at}`).join(",")}`,
        "A: 1"
      ],
      ["A: 1"]
    ],
    ["without the white space before a colon", ["A\t : 1", "B: 2 : 3", "Connection : b"], ["A: 1"]]
  ])("%s", (_, lines, passing) => {
    const head = read(lines)
    const text = passing.map((line) => `${line}\r\n`).join("")
    expect(head.passed.text).toBe(text)
    expect(copied(head)).toBe(`-${text}-`)
    expect(head.passed.takeText()).toBe(text)
    expect(copied(head)).toBe("--")
  })

  it("a Date is one under any spelling, unless it is for this hop only", () => {
    expect(read(["dAtE: x"]).dated).toBe(true)
    expect(read(["Data: x", "Datei: x"]).dated).toBe(false)
    expect(read(["Date: x", "Connection: date"]).dated).toBe(false)
  })
})
