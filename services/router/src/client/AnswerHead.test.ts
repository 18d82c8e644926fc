/** E4, E6: an answer's head goes out whole, with the edge's own framing. */
import { describe, expect, it } from "vitest"
import { isRefusal } from "../http1/Refusal.ts"
import { type ResponseHead, readResponseHead } from "../http1/responseHead.ts"
import { AnswerHead } from "./AnswerHead.ts"

const read = (text: string): ResponseHead => {
  const head = readResponseHead(Buffer.from(text, "latin1"))
  if (isRefusal(head)) throw new Error(head.code)
  return head
}
const written = (text: string, lines = "", framing: Partial<{ chunked: boolean; close: boolean }> = {}): string => {
  const head = new AnswerHead(read(text), lines, { chunked: false, close: false, ...framing })
  const out = Buffer.alloc(head.length + 2, "-")
  expect(head.putInto(out, 1)).toBe(head.length + 1)
  const all = out.toString("latin1")
  expect([all.at(0), all.at(-1)]).toEqual(["-", "-"])
  return all.slice(1, -1)
}

describe("E4: the head of an answer", () => {
  it.each([
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 12\r\n\r\n"],
    ["an empty body", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"],
    [
      "more than four gigabytes",
      "HTTP/1.1 200 OK\r\nContent-Length: 9007199254740991\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 9007199254740991\r\n\r\n"
    ],
    ["no reason", "HTTP/1.0 599\r\nA: b\r\n\r\n", "HTTP/1.1 599 \r\nA: b\r\n\r\n"],
    [
      "a reason in bytes above 127",
      "HTTP/1.1 200 \xe4\xf6\xfc in sixteen bytes\r\n\r\n",
      "HTTP/1.1 200 \xe4\xf6\xfc in sixteen bytes\r\n\r\n"
    ],
    // RFC 9110 §8.6
    [
      "a length that 204 must not have",
      "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nA: b\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"
    ]
  ])("with %s", (_, origin, client) => {
    expect(written(origin)).toBe(client)
  })

  it("with lines of the edge's own behind the origin's", () => {
    const text = written("HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n", "C: d\r\n", { chunked: true, close: true })
    expect(text).toBe("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
  })
})
