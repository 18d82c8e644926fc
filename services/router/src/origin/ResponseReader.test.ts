/** E4: a response is read off a buffer that is used again for the next read. */
import { describe, expect, it } from "vitest"
import type { ExchangeClient } from "../exchange/Exchange.ts"
import { ResponseReader } from "./ResponseReader.ts"

const bytes = (text: string) => Buffer.from(text, "latin1")

/** Reads `text` in pieces of `cut` bytes through one buffer that is spoilt after every piece, and holds `behind` it; what the client was told. */
const through = (text: string, cut: number, behind: (at: number) => string): string => {
  let told = ""
  const client = {
    proceed: () => {
      told += "100 "
    },
    interim: ({ status, passed }) => {
      told += `${status} ${passed.text} `
    },
    respond: ({ status, passed }) => {
      told += `${status} ${passed.text} `
    },
    data: (piece, start, end) => {
      told += piece.toString("latin1", start, end)
      return true
    },
    end: (trailers) => {
      told += ` ${trailers}`
    }
  } as Partial<ExchangeClient> as ExchangeClient
  const reader = new ResponseReader(client, "GET", false)
  const shared = Buffer.alloc(cut + text.length)
  for (let at = 0; at < text.length; at += cut) {
    const length = bytes(text.slice(at, at + cut)).copy(shared)
    bytes(behind(at + length)).copy(shared, length)
    expect(reader.read(shared, length)).toBeUndefined()
    shared.fill(0)
  }
  expect(reader.state).toBe("done")
  return told
}

describe("E4: reading through a shared buffer", () => {
  const hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
  it.each([
    ["a length", `${hints}HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 11\r\n\r\nhello world`],
    ["chunks", `${hints}HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`]
  ])("a head after interim responses, and a body delimited by %s, survive it at every cut, whatever stands behind it", (_, text) => {
    for (const behind of [() => "", (at: number) => text.slice(at), () => "\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n"])
      for (let cut = 1; cut <= text.length; cut++)
        expect([cut, through(text, cut, behind)]).toEqual([cut, "100 103 Link: a\r\n 200 X: y\r\n hello world "])
  })
})
