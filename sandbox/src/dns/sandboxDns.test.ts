/** The sandbox's own world: what it answers without any zone made, what survives a restart, and misbehaving on request. */
import { createSocket } from "node:dgram"
import { Resolver as NodeResolver } from "node:dns/promises"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type DecodedPacket, decode, encode, type RecordType } from "dns-packet"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { answerQuestion } from "./answerQuestion.ts"
import { DnsServer } from "./DnsServer.ts"
import { type RecordSet, ZoneStore } from "./ZoneStore.ts"

const set = (name: string, type: string, ...contents: ReadonlyArray<string>): RecordSet => ({
  name,
  type,
  ttl: 60,
  records: contents.map((content) => ({ content, disabled: false }))
})
const soa = (zone: string) => set(zone, "SOA", `ns1.${zone} hostmaster.${zone} 0 1 1 1 5`)
const acme = [
  soa("acme.test."),
  set("acme.test.", "NS", "ns1.acme.test.", "ns2.elsewhere.example."),
  set("www.acme.test.", "CNAME", "edge.connect.test.")
]
const say = (store: ZoneStore, name: string, type: RecordType) => {
  const { rcode, authoritative, answers, authorities } = answerQuestion(store, name, type)
  return {
    rcode,
    authoritative,
    answers: answers.map((answer) => `${answer.type} ${"data" in answer ? String(answer.data) : ""}`),
    authorities: authorities.map((record) => `${record.type} ${record.name}`)
  }
}

describe("answers", () => {
  const store = new ZoneStore()
  store.create("acme.test.", "Native", acme)
  const answered = (...answers: ReadonlyArray<string>) => ({ rcode: 0, authoritative: true, answers, authorities: [] })

  test("the edge's name, and an alias to it across zones", () => {
    expect(say(store, "edge.connect.test.", "A")).toEqual(answered("A 127.0.0.1"))
    expect(say(store, "WWW.acme.test.", "A")).toEqual(answered("CNAME edge.connect.test.", "A 127.0.0.1"))
    expect(say(store, "www.acme.test.", "TXT")).toMatchObject({
      rcode: 0,
      answers: ["CNAME edge.connect.test."],
      authorities: ["SOA connect.test."]
    })
  })
  test("name servers without an address of their own have one, wherever they are", () => {
    for (const name of ["ns1.acme.test.", "ns2.elsewhere.example.", "ns.test."])
      expect(say(store, name, "A")).toEqual(answered("A 127.0.0.1"))
    expect(say(store, "ns1.acme.test.", "AAAA")).toMatchObject({ rcode: 0, answers: [], authorities: ["SOA acme.test."] })
  })
  test("what does not exist is denied by its closest zone; types that nobody knows are not there", () => {
    expect(say(store, "nope.acme.test.", "A")).toEqual({ rcode: 3, authoritative: true, answers: [], authorities: ["SOA acme.test."] })
    expect(say(store, "nope.test.", "A")).toMatchObject({ rcode: 3, authorities: ["SOA test."] })
    expect(say(store, "example.org.", "A")).toMatchObject({ rcode: 3, authorities: ["SOA ."] })
    expect(say(store, "acme.test.", "CAA")).toMatchObject({ rcode: 0, answers: [], authorities: ["SOA acme.test."] })
    expect(say(store, "example.", "A")).toMatchObject({ rcode: 0, authorities: ["SOA ."] })
  })
  test("a zone handed to servers that are not us is a referral, and a loop of aliases ends", () => {
    store.create("more.test.", "Native", [
      soa("more.test."),
      set("sub.more.test.", "NS", "ns.provider.example."),
      set("a.more.test.", "CNAME", "b.more.test."),
      set("b.more.test.", "CNAME", "a.more.test.")
    ])
    expect(say(store, "x.sub.more.test.", "A")).toEqual({ rcode: 0, authoritative: false, answers: [], authorities: ["NS sub.more.test."] })
    expect(say(store, "a.more.test.", "A").answers).toEqual(["CNAME b.more.test.", "CNAME a.more.test."])
  })
  test("a DS question is the parent's", () => {
    expect(say(store, "acme.test.", "DS")).toMatchObject({ rcode: 0, authorities: ["SOA test."] })
  })
})

describe("the journal", () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "cd-dns-"))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test("zones, changes and removals are there again after a kill in the middle of a write", () => {
    const journal = join(folder, "zones.jsonl")
    const before = new ZoneStore({ journal })
    const zone = before.create("acme.test.", "Native", acme)
    before.remove(before.create("gone.test.", "Native", [soa("gone.test.")]))
    before.change(zone, [set("www.acme.test.", "CNAME"), set("www.acme.test.", "A", "192.0.2.1")])
    writeFileSync(journal, `${readFileSync(journal, "utf8")}{"op":"zone","name":"half`)
    const after = new ZoneStore({ journal })
    expect(say(after, "www.acme.test.", "A").answers).toEqual(["A 192.0.2.1"])
    expect(after.zones.get("acme.test.")?.serial).toBe(zone.serial)
    expect([...after.zones.keys()].sort()).toEqual([".", "acme.test.", "connect.test.", "test."])
    expect(say(after, "ns2.elsewhere.example.", "A").answers).toEqual(["A 127.0.0.1"])
    expect(readFileSync(journal, "utf8").split("\n")).toHaveLength(2)
    after.remove(after.zones.get("acme.test.")!)
    expect(say(after, "www.acme.test.", "A").rcode).toBe(3)
    expect(say(after, "ns2.elsewhere.example.", "A").rcode).toBe(3)
  })
})

describe("the server", () => {
  const store = new ZoneStore()
  store.create("acme.test.", "Native", [
    ...acme,
    set("big.acme.test.", "TXT", ...Array.from({ length: 40 }, (_, at) => `"${at} ${"x".repeat(60)}"`))
  ])
  let server: DnsServer
  let port: number
  beforeEach(async () => {
    server = new DnsServer(store)
    port = await server.listen("127.0.0.1", 0)
  })
  afterEach(() => server.close())

  const exchange = (bytes: Buffer) =>
    new Promise<DecodedPacket>((resolve) => {
      const socket = createSocket("udp4", (message) => {
        socket.close()
        resolve(decode(message))
      })
      socket.send(bytes, port, "127.0.0.1")
    })
  const query = (name: string, more: object = {}) =>
    encode({ type: "query", id: 9, flags: 1 << 8, questions: [{ name, type: "TXT" }], ...more })

  test("serves an ordinary resolver, large answers by TCP", async () => {
    const resolver = new NodeResolver()
    resolver.setServers([`127.0.0.1:${port}`])
    expect(await resolver.resolve4("www.acme.test")).toEqual(["127.0.0.1"])
    expect(await resolver.resolveTxt("big.acme.test")).toHaveLength(40)
    await expect(resolver.resolve4("nope.acme.test")).rejects.toMatchObject({ code: "ENOTFOUND" })
  })
  test("a datagram holds no more than its asker said; EDNS is answered, a version from the future refused", async () => {
    expect((await exchange(query("big.acme.test"))).flag_tc).toBe(true)
    const opt = (version: number) => ({
      additionals: [
        { type: "OPT", name: ".", udpPayloadSize: 4096, extendedRcode: 0, ednsVersion: version, flags: 0, flag_do: false, options: [] }
      ]
    })
    expect((await exchange(query("www.acme.test", opt(0)))).additionals).toHaveLength(1)
    const future = await exchange(query("www.acme.test", opt(9)))
    expect(future).toMatchObject({ answers: [], additionals: [{ extendedRcode: 1 }] })
  })
  test("bytes that are no question don't stop it", async () => {
    expect((await exchange(Buffer.concat([query("x.test").subarray(0, 14), Buffer.alloc(4, 255)]))).flags! & 15).toBe(1)
    const update = query("x.test")
    update[2] = 5 << 3
    expect((await exchange(update)).flags! & 15).toBe(4)
    expect((await exchange(query("www.acme.test"))).flag_aa).toBe(true)
  })
  test("misbehaves for a name and all below it when asked to", async () => {
    server.faults.set("acme.test.", "servfail")
    expect((await exchange(query("www.acme.test"))).flags! & 15).toBe(2)
    expect((await exchange(query("other.test"))).flags! & 15).toBe(3)
    server.faults.set("acme.test.", "refused")
    expect((await exchange(query("acme.test"))).flags! & 15).toBe(5)
  })
})
