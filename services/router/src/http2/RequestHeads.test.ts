/** E3: a block that is known again says what it says to whoever reads it for the first time. */
import fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import type { RequestHead } from "../http1/requestHead.ts"
import { encodeFields } from "../testing/encodeFields.ts"
import { HpackDecoder } from "./hpack/HpackDecoder.ts"
import { RequestHeads, tooLarge } from "./RequestHeads.ts"
import { readHttp2Fields } from "./readFields.ts"

const blockOf = (text: string, ended = true) => ({ stream: 1, bytes: Buffer.from(text, "latin1"), start: 0, end: text.length, ended })
/** Into the table (§6.2.1), with an index of the static one for the name. */
const indexed = (nameIndex: number, value: string): string => String.fromCharCode(0x40 | nameIndex, value.length) + value
/** Not into the table (§6.2.2). */
const lettered = (nameIndex: number, value: string): string => String.fromCharCode(nameIndex, value.length) + value
/** The newest entry of the table. */
const newest = "\xbe"
const resize = (size: number): string => String.fromCharCode(0x20 | size)

/** GET, https. */
const plain = "\x82\x87"
const [authority, path] = [1, 4]
const first = `${plain}${indexed(authority, "a.example")}\x84`
const again = `${plain}${newest}\x84`

const opened = (): RequestHeads => {
  const heads = new RequestHeads(4096)
  heads.read(blockOf(first))
  return heads
}

describe("E3: a request's block", () => {
  it("is known again when it and the table are the same", () => {
    const heads = opened()
    const head = heads.read(blockOf(again))
    expect(head).toMatchObject({ method: "GET", host: "a.example", target: "/" })
    expect(heads.read(blockOf(again))).toBe(head)
    const inside = Buffer.from(`xx${again}yy`, "latin1")
    expect(heads.read({ stream: 3, bytes: inside, start: 2, end: 2 + again.length, ended: true })).toBe(head)
  })

  it("is read anew when the table has changed", () => {
    const heads = opened()
    expect(heads.read(blockOf(again))).toMatchObject({ host: "a.example" })
    heads.read(blockOf(`${plain}${indexed(authority, "b.example")}\x84`))
    expect(heads.read(blockOf(again))).toMatchObject({ host: "b.example" })
    heads.decode(blockOf(indexed(authority, "c.example"))) // trailers, or a request that is refused
    expect(heads.read(blockOf(again))).toMatchObject({ host: "c.example" })
    heads.decode(blockOf(resize(0)))
    expect(heads.read(blockOf(again))).toBeUndefined()
  })

  it("is read anew each time when it changes the table itself", () => {
    const heads = new RequestHeads(4096)
    const entered = first.slice(0, -1) + indexed(path, "/first")
    expect(heads.read(blockOf(entered))).toMatchObject({ target: "/first" })
    expect(heads.read(blockOf(entered))).toMatchObject({ target: "/first" })
    expect(heads.read(blockOf(`${plain}\xc1\xc0`))).toMatchObject({ host: "a.example", target: "/first" }) // the third and fourth newest
    const emptied = resize(0) + again
    expect(heads.read(blockOf(emptied))).toBeUndefined()
  })

  it("is another one when a body follows, a byte differs, or there are more or fewer", () => {
    const heads = opened()
    const head = heads.read(blockOf(again))
    expect(heads.read(blockOf(again, false))).toMatchObject({ chunked: true })
    expect(heads.read(blockOf(again))).toEqual(head)
    expect(heads.read(blockOf(`\x83\x87${newest}\x84`))).toMatchObject({ method: "POST" })
    expect(heads.read(blockOf(`${plain}${newest}\x85`))).toMatchObject({ target: "/index.html" })
    expect(heads.read(blockOf(`${again}\x90`))).toMatchObject({ kept: "accept-encoding: gzip, deflate\r\n" })
    expect(heads.read(blockOf(again.slice(0, -1)))).toMatchObject({ code: "pseudo-missing" })
  })

  it("is known again with another path, which is judged by itself", () => {
    const to = (path: string, more = "") => blockOf(`${plain}${newest}${path}${more}\x90`)
    const heads = opened()
    const head = heads.read(to(lettered(path, "/one")))
    const decoded = vi.spyOn(HpackDecoder.prototype, "decode")
    expect(heads.read(to(lettered(path, "/one")))).toBe(head)
    expect(heads.read(to(lettered(path, "/two?three=4")))).toEqual({ ...(head as RequestHead), target: "/two?three=4" })
    expect(heads.read(to(lettered(path + 1, "/")))).toMatchObject({ target: "/" })
    expect(heads.read(to("\x14\x82\x60\x7f"))).toMatchObject({ target: "/a" }) // never indexed, in Huffman's code
    expect(decoded).not.toHaveBeenCalled()
    expect(heads.read(to(`\x04\x7f\xc1\xb7\x02/${"p".repeat(39_999)}`))).toBe(tooLarge)
    expect(heads.read(to(lettered(14, "/status")))).toMatchObject({ code: "pseudo-unknown" })
    expect(heads.read(to(lettered(path, "/one/../..")))).toMatchObject({ code: "path-above-root" })
    expect(heads.read(to(lettered(path, "/a b")))).toMatchObject({ code: "byte-in-target" })
    expect(heads.read(to(lettered(path, "one")))).toMatchObject({ code: "target-form" })
    expect(heads.read(to(lettered(path, "*")))).toMatchObject({ code: "asterisk-target" })
    expect(heads.read(to(lettered(path, "/a"), lettered(path, "/b")))).toMatchObject({ code: "pseudo-twice" })
    expect(heads.read(to(""))).toMatchObject({ code: "pseudo-missing" })
    expect(heads.read(to("\x84"))).toMatchObject({ target: "/" })
    expect(heads.read(to(indexed(path, "/entered")))).toMatchObject({ target: "/entered" })
    expect(heads.read(to(lettered(path, "/last")))).toMatchObject({ code: "pseudo-twice" }) // the newest entry is the path now
    decoded.mockRestore()
  })

  it.each(["", "\x20"])("that is empty is no request, nor a known one", (empty) => {
    for (const heads of [new RequestHeads(4096), opened()])
      for (let times = 0; times < 3; times++) expect(heads.read(blockOf(empty, false))).toMatchObject({ code: "pseudo-missing" })
  })

  it("is a copy: the buffer that it came in is used again", () => {
    const heads = opened()
    const block = blockOf(again)
    heads.read(block)
    block.bytes[3] = 0x85
    expect(heads.read(block)).toMatchObject({ target: "/index.html" })
    expect(heads.read(blockOf(again))).toMatchObject({ target: "/" })
  })

  it("is not kept when it was refused, is long, or unfolds to much", () => {
    const keeps = (text: string, heads = opened()): boolean => {
      const head = heads.read(blockOf(text))
      return heads.read(blockOf(text)) === head
    }
    const long = (length: number) => again + encodeFields(["x-a", "b".repeat(length - again.length - 6)])
    expect(long(128)).toHaveLength(128)
    expect([128, 129].map((length) => keeps(long(length)))).toEqual([true, false])
    expect(keeps(`${again}\x84`)).toBe(false)
    const heads = opened()
    heads.read(blockOf(`${again}\x7a\x7f\xad\x01${"u".repeat(300)}`)) // user-agent, a line of 314 characters
    expect([3, 4].map((times) => keeps(`${plain}\xbf\x84${newest.repeat(times)}`, heads))).toEqual([true, false])
    expect(heads.read(blockOf(`${plain}\xbf\x84${newest.repeat(120)}`))).toBe(tooLarge)
    heads.decode(blockOf(`\x44\x7f\xd7\x07/${"p".repeat(1109)}`)) // a path of 1110 characters
    expect(keeps(`${plain}\xc0${newest}`, heads)).toBe(false)
  })

  it("says the same, in any order of blocks, to whoever remembers none", () => {
    let known = 0
    const piece = fc.constantFrom(
      ...[plain, "\x83\x87", "\x84", "\x85", newest, "\xbf", "\xc0", "\x90", "\x20", resize(0), "\x3f\xe1\x1f"],
      ...[indexed(authority, "a.example"), indexed(authority, "b.example"), indexed(path, "/p"), encodeFields([":path", "/q", "x-a", "b"])],
      ...["/", "/r", "/r?s", "/..", "t", "*", ""].flatMap((target) => [
        lettered(path, target),
        String.fromCharCode(0x10) + lettered(path, target)
      ])
    )
    const block = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(first, again, `${plain}\xbf${newest}`, `${again}\x90`) },
      {
        weight: 3,
        arbitrary: fc
          .tuple(
            fc.constantFrom(lettered, lettered, indexed),
            fc.constantFrom("/", "/r", "/..", "t", ""),
            fc.constantFrom("", "\x90", "\x04\x01/")
          )
          .map(([write, target, behind]) => plain + newest + write(path, target) + behind)
      },
      { weight: 2, arbitrary: fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join("")) }
    )
    fc.assert(
      fc.property(
        fc.array(block, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(3), fc.boolean()), { maxLength: 40 }),
        (texts, order) => {
          const [heads, decoder] = [opened(), new HpackDecoder(4096)]
          decoder.decode(blockOf(first).bytes, 32_768, 1000)
          let before: unknown
          for (const [which, ended] of order) {
            const text = texts[which % texts.length]!
            const list = decoder.decode(Buffer.from(text, "latin1"), 32_768, 1000)
            const head = heads.read(blockOf(text, ended))
            expect(head).toEqual(list === undefined ? undefined : readHttp2Fields(list.fields, ended))
            if (head !== undefined && head === before) known++
            before = head
            if (list === undefined) return // it ends the connection
          }
        }
      ),
      { numRuns: 2000 }
    )
    expect(known).toBeGreaterThan(100)
  })
})
