/** HPACK: the examples of RFC 7541 Appendix C, limits, and garbage. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { encodeFields } from "../../testing/encodeFields.ts"
import { HpackDecoder } from "./HpackDecoder.ts"

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex")
const decode = (decoder: HpackDecoder, bytes: Buffer) =>
  decoder.decode(bytes, 1_000_000, 1000)?.fields.flatMap(({ name, value }) => [name, value])

describe("HPACK", () => {
  it.each([
    [
      "plain (C.3)",
      [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"
      ]
    ],
    [
      "Huffman (C.4)",
      ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"]
    ]
  ])("decodes the requests of Appendix C, %s", (_, blocks) => {
    const decoder = new HpackDecoder(4096)
    expect(decode(decoder, hex(blocks[0]!))).toEqual([":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"])
    expect(decode(decoder, hex(blocks[1]!))?.slice(-2)).toEqual(["cache-control", "no-cache"])
    const last = [
      ":method",
      "GET",
      ":scheme",
      "https",
      ":path",
      "/index.html",
      ":authority",
      "www.example.com",
      "custom-key",
      "custom-value"
    ]
    expect(decode(decoder, hex(blocks[2]!))).toEqual(last)
  })

  it("evicts as in Appendix C.6 (a table of 256 bytes)", () => {
    const decoder = new HpackDecoder(256)
    decode(decoder, hex("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"))
    const second = decode(decoder, hex("4883640effc1c0bf"))
    expect(second?.slice(0, 4)).toEqual([":status", "307", "cache-control", "private"])
  })

  it.each([
    ["index 0", "80"],
    ["an index beyond the tables", "ff7f"],
    ["a table size above the offer", "3fe2ff01"],
    ["a table size behind a field", "8220"],
    ["an unfinished integer", "ff"],
    ["an integer without end", "ffffffffffffffffffff"],
    ["an unfinished literal", "400a6375"],
    ["a text longer than the block", "40ff"],
    ["EOS in a text (§5.2)", "0084ffffffff00"],
    ["padding of eight bits (§5.2)", "008163ff8200ff"],
    ["padding that is not ones (§5.2)", "00811801 61".replaceAll(" ", "")]
  ])("refuses %s", (_, block) => {
    expect(new HpackDecoder(4096).decode(hex(block), 100_000, 100)).toBeUndefined()
  })

  it("cuts a list that is too large, and keeps its table in step", () => {
    const decoder = new HpackDecoder(4096)
    const block = Buffer.from(`\x40\x01a\x7f\x49${"b".repeat(200)}`, "latin1")
    expect(decoder.decode(block, 100, 10)).toMatchObject({ tooLarge: true, fields: [] })
    expect(decode(decoder, hex("be"))?.[0]).toBe("a")
  })

  it("decodes what a client encodes", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/)
    const value = fc.stringMatching(/^[ -~]{0,300}$/)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, value), { maxLength: 30 }),
        fc.constantFrom("200", "204", "304", "421", "503"),
        (pairs, status) => {
          const fields = [":status", status, ...pairs.flat()]
          expect(decode(new HpackDecoder(4096), Buffer.from(encodeFields(fields), "latin1"))).toEqual(fields)
        }
      )
    )
  })

  it("survives any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder(4096)
        for (const block of blocks) decoder.decode(Buffer.from(block), 10_000, 100)
      }),
      { numRuns: 500 }
    )
  })
})
