/** E1, E4: the quick scan of a head accepts only what the strict readers accept, and finds the same lines in it. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { corpus } from "./corpus/corpus.ts"
import { findForeignByte, lines, maxFieldLines, maxHeadBytes, scanFields, stride } from "./fields.ts"
import { isRefusal } from "./Refusal.ts"
import { readRequestHead } from "./requestHead.ts"
import { readResponseHead } from "./responseHead.ts"
import { HeadScan } from "./scanHead.ts"

const scan = new HeadScan()

/** What the strict readers find in the same bytes: length, and the numbers of all lines; undefined when they refuse. */
const strictly = (bytes: Buffer): { length: number; found: ReadonlyArray<number> } | undefined => {
  const end = bytes.indexOf("\r\n\r\n")
  if (end < 0 || end + 4 > maxHeadBytes) return undefined
  const text = bytes.toString("latin1", 0, end + 4)
  if (findForeignByte(text) !== undefined) return undefined
  const found = scanFields(text, text.indexOf("\r\n") + 2, { trimBeforeColon: false })
  return typeof found === "number" ? { length: end + 4, found: [...lines.subarray(0, found * stride)] } : undefined
}

const agrees = (bytes: Buffer): void => {
  const plain = scan.read(bytes)
  const quick = plain ? { length: scan.length, found: [...lines.subarray(0, scan.found * stride)] } : undefined
  expect(quick).toEqual(strictly(bytes))
}

describe("E1: the quick scan and the strict readers", () => {
  it.each(corpus.map(({ name, bytes }) => [name, bytes] as const))("agree on: %s", (_, bytes) => agrees(Buffer.from(bytes, "latin1")))

  it("agree on heads of bytes that matter, in any order", () => {
    const piece = fc.constantFrom(
      "\r\n",
      "\r",
      "\n",
      ":",
      ": ",
      " ",
      "\t",
      "a",
      "Host",
      "Content_Length",
      "\0",
      "\x7f",
      "\xff",
      "\r\n\r\n",
      "GET / HTTP/1.1"
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => agrees(Buffer.from(pieces.join(""), "latin1"))),
      { numRuns: 5000 }
    )
  })

  it("agree at the limits", () => {
    for (const count of [maxFieldLines - 1, maxFieldLines, maxFieldLines + 1])
      agrees(Buffer.from(`GET / HTTP/1.1\r\n${"a:b\r\n".repeat(count)}\r\n`, "latin1"))
    const frame = "GET / HTTP/1.1\r\na:\r\n\r\n".length
    for (const extra of [-1, 0, 1])
      agrees(Buffer.from(`GET / HTTP/1.1\r\na:${"b".repeat(maxHeadBytes - frame + extra)}\r\n\r\nmore`, "latin1"))
  })

  it("read the same out of a head either way", () => {
    const request = Buffer.from(
      "POST /a?b HTTP/1.1\r\nHost: a.example.org:8443\r\nX_A: 1\r\nConnection: keep-alive, x-b\r\nX-B: 2\r\nContent-Length: 3\r\n\r\n"
    )
    const response = Buffer.from(
      "HTTP/1.1 200 OK\r\nServer: a\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n"
    )
    expect(scan.read(request)).toBe(true)
    expect(readRequestHead(request.toString("latin1"), scan.found)).toEqual(readRequestHead(request.toString("latin1")))
    expect(scan.read(response)).toBe(true)
    const told = (found?: number) => {
      const head = readResponseHead(response, response.length, found)
      return isRefusal(head) ? head : { ...head, passed: head.passed.text }
    }
    expect(told(scan.found)).toEqual(told())
    expect(told()).toMatchObject({ status: 200, chunked: true, keepSeconds: 5, passed: "Server: a\r\n" })
  })
})
