/** What the edge forwards reads back as the one request that it read (T5), whatever bytes it was given (E17). */

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { framingOf, headMiddle } from "../exchange/forwardHead.ts"
import { noPolicy } from "../policy/Policy.ts"
import { headText } from "../testing/headText.ts"
import { requestIdOf } from "../testing/requestIdOf.ts"
import { hostnameEntry } from "../testing/TestEdge.ts"
import { corpus } from "./corpus/corpus.ts"
import { judge } from "./corpus/judge.ts"
import { host } from "./corpus/RawCase.ts"
import { isRefusal } from "./Refusal.ts"
import { readResponseHead } from "./responseHead.ts"

const entry = hostnameEntry(host, { connection_id: "c-1" })
const way = { origin: { authority: "origin.test", prefix: "" }, policy: noPolicy }
const peer = { address: "2001:db8::9", scheme: "https" } as const

const checkForwarded = (bytes: string): void => {
  const read = judge(bytes)
  if (read === "unfinished" || isRefusal(read)) return
  const head = headText({
    head: read.head,
    way,
    middle: headMiddle(peer, read.head, way, entry.connection_id),
    requestId: requestIdOf("id")
  })
  const chunked = framingOf(read.head) === "chunked"
  const piece = read.body === "" ? "" : `${read.body.length.toString(16)}\r\n${read.body}\r\n`
  const again = judge(head + (chunked ? `${piece}0\r\n${read.trailers}\r\n` : read.body))
  if (again === "unfinished" || isRefusal(again)) throw new Error(`forwarded as ${JSON.stringify(head)}: ${JSON.stringify(again)}`)
  const { method, target, host: name, port, length } = again.head
  expect({ method, target, name, port, length, body: again.body, rest: again.rest }).toEqual({
    method: read.head.method,
    target: read.head.target,
    name: read.head.host,
    port: read.head.port,
    length: read.head.length,
    body: read.body,
    rest: ""
  })
  expect(head.match(/^X-Forwarded-For: (.*)$/gim)).toEqual(["X-Forwarded-For: 2001:db8::9"])
  expect(head.match(/^Host: /gim)).toHaveLength(1)
  expect(head).toContain('Forwarded: for="[2001:db8::9]";')
}

describe("forwarding", () => {
  it("reads back every case of the corpus that is served", () => {
    for (const { bytes } of corpus) checkForwarded(bytes)
  })

  it("reads back whatever survives when bytes of the corpus are changed, cut, doubled or joined", () => {
    const small = corpus.filter(({ bytes }) => bytes.length < 2000).map(({ bytes }) => bytes)
    const special = fc.constantFrom(
      "\r",
      "\n",
      "\r\n",
      "\0",
      " ",
      "\t",
      ":",
      ",",
      ";",
      "#",
      "@",
      "_",
      "\x7f",
      "\xff",
      "0",
      "chunked",
      "Host: ",
      "a"
    )
    const mutation = fc.tuple(
      fc.constantFrom(...small),
      fc.array(fc.tuple(fc.nat(1999), fc.nat(3), special), { minLength: 1, maxLength: 4 }),
      fc.constantFrom(...small)
    )
    fc.assert(
      fc.property(mutation, ([bytes, edits, other]) => {
        let text = bytes
        for (const [place, kind, insert] of edits) {
          const at = place % (text.length + 1)
          if (kind === 0) text = text.slice(0, at) + insert + text.slice(at)
          else if (kind === 1) text = text.slice(0, at) + insert + text.slice(at + 1)
          else if (kind === 2) text = text.slice(0, at) + text.slice(at + insert.length)
          else text = text.slice(0, at) + other.slice(at)
        }
        checkForwarded(text)
      }),
      { numRuns: 20_000 }
    )
  })

  it("gives a verdict on any response head", () => {
    const part = fc.constantFrom(
      "HTTP/1.1 200 OK",
      "HTTP/1.0 204 ",
      "HTTP/1.1 101 x",
      "Content-Length: 5",
      "Content-Length: x",
      "Transfer-Encoding: chunked",
      "Connection: close, x",
      "X : a",
      "x: b",
      "\r\n",
      "\n",
      " ",
      "Keep-Alive: timeout=5",
      "\0",
      ":"
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.constantFrom("\r\n", "", "\n"), (parts, between) => {
        const head = readResponseHead(Buffer.from(`${parts.join(between)}\r\n\r\n`, "latin1"))
        if (isRefusal(head)) expect(head.status).toBe(502)
        else expect(head.passed.text).not.toMatch(/^(content-length|transfer-encoding|connection|keep-alive):/im)
      }),
      { numRuns: 5000 }
    )
  })
})
