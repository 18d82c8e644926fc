/** RFC 9110 §7.6.2: how far an OPTIONS may still go, over either version of HTTP. */
import { describe, expect, it } from "vitest"
import { fieldsOf } from "../http2/HeaderField.ts"
import { readHttp2Fields } from "../http2/readFields.ts"
import { readRequestHead } from "./requestHead.ts"

const http1 = (method: string, ...lines: ReadonlyArray<string>) =>
  readRequestHead(`${method} / HTTP/1.1\r\nHost: a.example.org\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`)
const http2 = (method: string, ...lines: ReadonlyArray<string>) => {
  const pseudo = [":method", method, ":scheme", "https", ":authority", "a.example.org", ":path", "/"]
  const fields = lines.flatMap((line) => [line.split(": ")[0]!.toLowerCase(), line.split(": ")[1]!])
  return readHttp2Fields(fieldsOf([...pseudo, ...fields]), true)
}

describe.each([
  ["HTTP/1.1", http1],
  ["HTTP/2", http2]
])("Max-Forwards over %s", (_, read) => {
  it("is lowered by one, and what stands around it is left alone", () => {
    const head = read("OPTIONS", "Before: 1", "Max-Forwards: 10", "Behind: 2")
    expect(head).toMatchObject({ lastHop: false })
    expect("kept" in head && head.kept.toLowerCase()).toBe("before: 1\r\nmax-forwards: 9\r\nbehind: 2\r\n")
  })

  it("ends here at 0", () => {
    expect(read("OPTIONS", "Max-Forwards: 0")).toMatchObject({ lastHop: true })
    expect(read("OPTIONS", "Max-Forwards: 1")).toMatchObject({ lastHop: false })
    expect(read("OPTIONS", "X-Max-Forwards: 0")).toMatchObject({ lastHop: false })
    expect(read("OPTIONS")).toMatchObject({ lastHop: false })
  })

  it.each([["-1"], ["1,2"], ["x"], ["0x1"], ["1 2"], ["9".repeat(17)]])("is refused as %j", (value) => {
    expect(read("OPTIONS", `Max-Forwards: ${value}`)).toMatchObject({ refused: true, status: 400, code: "max-forwards" })
  })

  it("is refused twice, or without a value", () => {
    expect(read("OPTIONS", "Max-Forwards: 1", "Max-Forwards: 1")).toMatchObject({ refused: true, status: 400, code: "max-forwards" })
    expect(read("OPTIONS", "Max-Forwards: ")).toMatchObject({ refused: true, status: 400, code: "max-forwards" })
  })

  it("means nothing to other methods, and passes", () => {
    const head = read("GET", "Max-Forwards: 0")
    expect(head).toMatchObject({ lastHop: false })
    expect("kept" in head && head.kept.toLowerCase()).toBe("max-forwards: 0\r\n")
  })
})
