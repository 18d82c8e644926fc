/** E8: what is remembered of heads holds none of them: V8 keeps a piece of a string as a view of the whole. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, expect, it } from "vitest"
import { fieldsOf } from "../http2/HeaderField.ts"
import { readHttp2Fields } from "../http2/readFields.ts"
import { canonicalHost, readHostAndPort } from "./HostNames.ts"
import { isRefusal } from "./Refusal.ts"
import { readRequestHead } from "./requestHead.ts"
import { readResponseHead } from "./responseHead.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")
const heapMebibytes = () => {
  collect()
  collect()
  return process.memoryUsage().heapUsed / 1024 / 1024
}

const heads = 2000
/** Each head is 30 KiB, so that all of them together are 60 MiB. */
const pad = "a".repeat(30 * 1024)
const asRead = (text: string) => Buffer.from(text, "latin1").toString("latin1")
/** `shop.example.org` with the capitals of a number. */
const spelled = (at: number) => "shop.example.org".replace(/[a-z]/g, (letter, place) => ((at >> place) & 1 ? letter.toUpperCase() : letter))

const growthOf = (read: (at: number) => object): number => {
  read(0)
  const before = heapMebibytes()
  for (let at = 1; at <= heads; at++) {
    const result = read(at)
    if (isRefusal(result)) throw new Error(result.code)
  }
  return heapMebibytes() - before
}

describe("E8: spellings that are remembered hold no heads in memory", () => {
  const request = (host: string, more: string, at: number) =>
    readRequestHead(asRead(`GET / HTTP/1.1\r\nHost: ${host}\r\n${more}Cookie: ${pad}${at}\r\n\r\n`))

  it.each([
    ["E8: ports", (at: number) => request(`shop.example.org:${at + 1}`, "", at)],
    ["E8: hosts", (at: number) => request(spelled(at), "", at)],
    ["E8: hosts too long to be remembered", (at: number) => request(`h${at}.${"long-label.".repeat(6)}example.org`, "", at)],
    ["E8: names of requests' fields", (at: number) => request("shop.example.org", `x.odd-field-name-${at}: 1\r\n`, at)],
    [
      "E8: names of answers' fields",
      (at: number) => readResponseHead(Buffer.from(`HTTP/1.1 200 OK\r\nx.odd-field-name-${at}: 1\r\nSet-Cookie: ${pad}${at}\r\n\r\n`))
    ],
    [
      "E8: names of HTTP/2 fields",
      (at: number) => {
        const block = asRead(`x.odd-field-name-${at} ${pad}${at}`)
        const fields = [":method", "GET", ":scheme", "https", ":authority", "shop.example.org", ":path", "/"]
        return readHttp2Fields(fieldsOf([...fields, block.slice(0, block.indexOf(" ")), "1"]), true)
      }
    ]
  ])("%s", (_, read) => {
    expect(growthOf(read)).toBeLessThan(15)
  })
})

describe("host names", () => {
  it("are read without the port, and a name with one is none", () => {
    expect(readHostAndPort("Shop.Example.org:0443")).toEqual({ host: "shop.example.org", port: "443" })
    expect(readHostAndPort("shop.example.org")).toEqual({ host: "shop.example.org", port: "" })
    expect(canonicalHost("shop.example.org:443")).toBe("")
  })

  it.each([..."!\"#$%&'()*+,/:;<=>?@[\\]^_`{|}~\x7f \0ł\xe9"])("hold no %j", (character) => {
    expect(canonicalHost(`a${character}b.example.org`)).toBe("")
    expect(readHostAndPort(`a${character}b.example.org`)).toBeUndefined()
  })
})
