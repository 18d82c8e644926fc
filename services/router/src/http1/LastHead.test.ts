/** E1: a head that comes again says what it said, and any other what it says by itself. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HeadBuffer } from "../client/HeadBuffer.ts"
import { readRequestHead } from "./requestHead.ts"

/** The same length for each name of four letters. */
const request = (path: string, host = "a.example"): string => `GET /${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: text/html\r\n\r\n`
const headsOf = (texts: ReadonlyArray<string>): Array<unknown> => {
  const heads = new HeadBuffer()
  return texts.map((text) => {
    heads.add(Buffer.from(text, "latin1"))
    return heads.take()
  })
}

describe("E1: the head of a connection's last request", () => {
  it("is known from the third time on", () => {
    const [first, second, third, fourth] = headsOf(Array.from({ length: 4 }, () => request("once")))
    expect(first).toEqual(readRequestHead(request("once")))
    expect(second).toEqual(first)
    expect(second).not.toBe(first)
    expect(third).toBe(second)
    expect(fourth).toBe(second)
  })

  it("is forgotten for another, and not kept when it is large", () => {
    const again = headsOf([...["once", "once", "else", "once", "once"].map((path) => request(path)), request("once")])
    expect(again.slice(2)).toEqual(["else", "once", "once", "once"].map((path) => readRequestHead(request(path))))
    const large = headsOf(Array.from({ length: 4 }, () => request("a".repeat(1024))))
    expect(large[3]).toEqual(large[0])
    expect(large[3]).not.toBe(large[2])
  })

  it("is not taken for one that differs in any byte, or is not all there", () => {
    const known = request("once")
    for (let at = 0; at < known.length; at++) {
      const other = `${known.slice(0, at)}\x01${known.slice(at + 1)}`
      const [, , last] = headsOf([known, known, other])
      expect(last, String(at)).not.toMatchObject({ target: "/once" })
      const [, , cut] = headsOf([known, known, known.slice(0, at)])
      expect(cut, String(at)).toBeUndefined()
    }
  })

  it("says what it says, in any order of requests in any segments", () => {
    const texts = fc.array(
      fc.constantFrom("once", "else", "a", "%zz").map((path) => request(path)),
      { maxLength: 12 }
    )
    const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(texts, cuts, (wanted, sizes) => {
        const bytes = Buffer.from(wanted.join(""), "latin1")
        const heads = new HeadBuffer()
        const taken: Array<unknown> = []
        for (let [at, turn] = [0, 0]; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length]!
          heads.add(bytes.subarray(at, at + size))
          at += size
          for (let head = heads.take(); head !== undefined; head = heads.take()) taken.push(head)
        }
        expect(taken).toEqual(wanted.map((text) => readRequestHead(text)))
        expect(heads.empty).toBe(true)
      })
    )
  })
})
