/** E6, E18: what a client says about itself reaches no origin, in no spelling, over either protocol; and nothing of one tenant reaches another. */
import { createServer, type Server } from "node:http"
import { connect as connectHttp2 } from "node:http2"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { sendRaw, TestEdge } from "../testing/TestEdge.ts"

const spoof = "6.6.6.6"
const host = "shop.example.org"
const theirs = "theirs.example.org"
let edge: TestEdge
const servers: Array<Server> = []

/** Answers with the raw lines that it got. */
const echo = async (name: string): Promise<string> => {
  const server = createServer((request, response) => void response.end(JSON.stringify({ name, raw: request.rawHeaders, url: request.url })))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

beforeAll(async () => {
  edge = await TestEdge.start()
  await edge.add(host, await echo("one"), { connection_id: "c-1", tenant_id: "tenant-1" }, [theirs])
  await edge.add(theirs, await echo("two"), { connection_id: "c-2", tenant_id: "tenant-2" })
})

afterAll(async () => {
  await edge.stop()
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

interface Echo {
  readonly name: string
  readonly lines: ReadonlyArray<readonly [string, string]>
}
const parse = (text: string): Echo => {
  const { name, raw } = JSON.parse(text.slice(text.indexOf("{"))) as { name: string; raw: ReadonlyArray<string> }
  return { name, lines: raw.flatMap((field, at) => (at % 2 === 0 ? [[field.toLowerCase(), raw[at + 1]!] as const] : [])) }
}

const overHttp1 = async (lines: ReadonlyArray<readonly [string, string]>): Promise<Echo> => {
  const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  const answer = await sendRaw(edge, host, `GET / HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  return parse(answer)
}

const overHttp2 = (lines: ReadonlyArray<readonly [string, string]>): Promise<Echo> =>
  new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
    const fields: Record<string, Array<string>> = {}
    for (const [name, value] of lines) fields[name.toLowerCase()] = [...(fields[name.toLowerCase()] ?? []), value]
    // node:http2 allows one of some fields; what may come twice is sent as often as it was asked for.
    const stream = session.request({ ":path": "/", ":authority": host, ...fields })
    let text = ""
    stream.on("data", (piece) => {
      text += piece
    })
    stream.on("error", reject)
    stream.on("close", () => {
      session.close()
      resolve(parse(text))
    })
  })

/** What the origin must see of the client, each exactly once. */
const truth: Readonly<Record<string, string>> = {
  "x-forwarded-for": "127.0.0.1",
  "x-forwarded-proto": "https",
  "x-forwarded-host": host,
  "x-real-ip": "127.0.0.1",
  "x-cd-connection": "c-1",
  forwarded: `for=127.0.0.1;host=${host};proto=https`
}
const alike = (name: string) => name.replace(/_/g, "-")

const expectTruth = ({ lines }: Echo, about: string): void => {
  for (const [name, value] of Object.entries(truth)) {
    const seen = lines.filter(([field]) => alike(field) === name)
    expect(seen, `${name} for ${about}`).toEqual([[name, value]])
  }
  expect(
    lines.filter(([, value]) => value.includes(spoof)),
    about
  ).toEqual([])
  expect(lines.filter(([field]) => alike(field).startsWith("x-cd-") && !["x-cd-connection", "x-cd-request-id"].includes(field))).toEqual([])
  expect(lines.filter(([field]) => field === "x-cd-request-id")).toHaveLength(1)
}

const fields = [
  ...["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix"],
  ...["X-Real-IP", "Forwarded", "X-CD-Connection", "X-CD-Request-Id", "X-CD-Anything", "X-Forwarded-Anything"]
]
const spellings: Readonly<Record<string, (name: string) => string>> = {
  plain: (name) => name,
  lower: (name) => name.toLowerCase(),
  upper: (name) => name.toUpperCase(),
  mixed: (name) => [...name].map((letter, at) => (at % 2 === 0 ? letter.toUpperCase() : letter.toLowerCase())).join(""),
  underscores: (name) => name.replaceAll("-", "_"),
  "one underscore": (name) => name.replace("-", "_")
}
/** Values as attackers and as RFC 7239 write them. */
const values = [
  spoof,
  `${spoof}, 7.7.7.7`,
  `for=${spoof}`,
  `for="[2001:db8::1]:4711";by=${spoof};proto=http, for=${spoof}`,
  `for=_hidden, for=unknown;host=${spoof}`,
  `for="\\"${spoof}"`,
  ` ${spoof} `,
  ""
]

describe("E6: forwarded fields", () => {
  it.each(Object.entries(spellings))("E6: overwritten whatever the client sends, spelling: %s", async (_, spell) => {
    for (const value of values) {
      const lines = fields.map((name) => [spell(name), value] as const)
      expectTruth(await overHttp1(lines), JSON.stringify(value))
      expectTruth(await overHttp2(lines.map(([name, text]) => [name, text.trim()] as const)), `${JSON.stringify(value)} over HTTP/2`)
    }
  })

  it("E6: duplicates, before and behind each other, in different spellings", async () => {
    for (const name of ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "X-CD-Connection"]) {
      const lines = Object.values(spellings).flatMap((spell) => [[spell(name), spoof] as const, [spell(name), `${spoof}, a`] as const])
      expectTruth(await overHttp1(lines), name)
    }
  })

  it("E6: named in Connection, they are still ours", async () => {
    const named = "X-Forwarded-For, X-Real-IP, Forwarded, X-CD-Connection, X-Forwarded-Host"
    expectTruth(await overHttp1([["Connection", named]]), "named in Connection")
  })
})

describe("E18: tenants", () => {
  it("E18: the same path of two tenants, asked in turn with poisoned fields, is each tenant's own", async () => {
    for (let round = 0; round < 20; round++) {
      const [asked, wanted, poison] = round % 2 === 0 ? [host, "one", theirs] : [theirs, "two", host]
      const lines = ["X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Server", "Forwarded"]
      const poisoned = lines.map((name) => `${name}: ${name === "Forwarded" ? `host=${poison}` : poison}\r\n`).join("")
      const answer = await sendRaw(edge, asked, `GET /same?a=1 HTTP/1.1\r\nHost: ${asked}\r\n${poisoned}Connection: close\r\n\r\n`)
      const { name, lines: seen } = parse(answer)
      expect(name).toBe(wanted)
      const own = seen.filter(([field]) => ["host", "x-forwarded-host", "forwarded", "x-forwarded-server"].includes(field))
      expect(own.filter(([, value]) => value.includes(poison))).toEqual([])
    }
  })

  it("E18: connections to one origin that two tenants share are kept apart", async () => {
    const shared = await echo("shared")
    await edge.add("a.example.org", shared, { tenant_id: "tenant-a" })
    await edge.add("b.example.org", shared, { tenant_id: "tenant-b" })
    let connections = 0
    servers.at(-1)!.on("connection", () => connections++)
    for (let round = 0; round < 3; round++) {
      for (const name of ["a.example.org", "b.example.org"]) {
        expect(await sendRaw(edge, name, `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)).toContain("200 OK")
      }
    }
    expect(connections).toBe(2)
  })
})
