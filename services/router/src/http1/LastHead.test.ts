/** E1: a head that is like the last one says what it says to whoever reads it for the first time. */
import fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import { HeadBuffer } from "../client/HeadBuffer.ts"
import { LastHead } from "./LastHead.ts"
import { isRefusal } from "./Refusal.ts"
import { readRequestHead } from "./requestHead.ts"
import { HeadScan } from "./scanHead.ts"

const request = (target: string, method = "GET", host = "a.example"): string =>
  `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nAccept: text/html\r\n\r\n`

/** What each is read as, on one connection, and how many of them needed reading. */
const headsOf = (texts: ReadonlyArray<string>): { readonly heads: Array<unknown>; readonly read: number } => {
  const heads = new HeadBuffer()
  const scans = vi.spyOn(HeadScan.prototype, "read")
  const taken = texts.map((text) => {
    heads.add(Buffer.from(text, "latin1"))
    return heads.take()
  })
  const read = scans.mock.calls.length
  scans.mockRestore()
  return { heads: taken, read }
}
const alone = (texts: ReadonlyArray<string>): Array<unknown> => texts.map((text) => readRequestHead(text))

describe("E1: the head of a connection's last request", () => {
  it("is known from the third request on, with other paths too", () => {
    const texts = ["/one", "/one", "/one", "/two?a=b", "/", `/${"long".repeat(250)}`, "/one"].map((target) => request(target))
    const { heads, read } = headsOf(texts)
    expect(heads).toEqual(alone(texts))
    expect(read).toBe(2)
    expect(heads[2]).toBe(heads[1])
    expect(heads[6]).toBe(heads[1])
  })

  it("is not known for another method, host, version or form of target, nor is a large one", () => {
    const other = [request("/one", "POST"), request("/one", "GET", "b.example"), request("/one").replace("1.1", "1.0")]
    const forms = [request("http://a.example/one"), request("*", "OPTIONS"), request("/one", "OPTIONS")]
    const large = [request(`/${"a".repeat(1100)}`)]
    for (const text of [...other, ...forms, ...large]) {
      const texts = [request("/"), request("/"), text, request("/two")]
      expect(headsOf(texts), text).toEqual({ heads: alone(texts), read: 4 })
    }
    const absolute = Array.from({ length: 4 }, (_, at) => request(`http://a.example/${at}`))
    expect(headsOf(absolute)).toEqual({ heads: alone(absolute), read: 4 })
    const asterisks = Array.from({ length: 4 }, () => request("*", "OPTIONS"))
    expect(headsOf(asterisks)).toEqual({ heads: alone(asterisks), read: 4 })
    const cookies = Array.from({ length: 4 }, () => request("/").replace("text/html", "c".repeat(1024)))
    expect(headsOf(cookies)).toEqual({ heads: alone(cookies), read: 4 })
  })

  it.each([
    "/../..",
    "/a#b",
    "/%00",
    "/%zz",
    "/\x80",
    "/a\tb",
    "/a\r\nX: y",
    "a",
    "",
    "*",
    "//..//..",
    "/ HTTP/1.1\r\nHost: b.example\r\n\r\n"
  ])("refuses the target %j as it does by itself", (target) => {
    const text = request(target)
    expect(headsOf([request("/"), request("/"), text]).heads[2]).toEqual(headsOf([text]).heads[0])
  })

  it("is not taken for one that differs in any byte, or is not all there", () => {
    const known = request("/one")
    for (let at = 0; at < known.length; at++) {
      const other = `${known.slice(0, at)}\x01${known.slice(at + 1)}`
      expect(headsOf([known, known, other]).heads[2], String(at)).toEqual(headsOf([other]).heads[0])
      expect(headsOf([known, known, known.slice(0, at)]).heads[2], String(at)).toBeUndefined()
    }
  })

  it("E8: is compared once, however small the pieces are that a head comes in", () => {
    const heads = new HeadBuffer()
    const finds = vi.spyOn(LastHead.prototype, "find")
    for (const byte of Buffer.from(request("/").repeat(3))) {
      heads.add(Buffer.of(byte))
      heads.take()
    }
    expect(finds).toHaveBeenCalledTimes(3)
    finds.mockRestore()
  })

  it("says what it says, in any order of requests in any segments", () => {
    const one = fc.tuple(fc.constantFrom("/", "/a", "/b?c=d", "/%zz", "http://a.example/", "*"), fc.constantFrom("GET", "PUT", "OPTIONS"))
    const texts = fc.array(
      one.map(([target, method]) => request(target, method)).filter((text) => !isRefusal(readRequestHead(text))),
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
        expect(taken).toEqual(alone(wanted))
        expect(heads.empty).toBe(true)
      })
    )
  })
})
