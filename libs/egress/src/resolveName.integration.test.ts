/** Look-ups against a name server whose answers, and silences, are the test's. */
import { createSocket, type Socket } from "node:dgram"
import { mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import packet, { type Answer } from "dns-packet"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeAddressPolicy, parseNetwork } from "./AddressPolicy.ts"
import { checkedConnect } from "./checkedConnect.ts"
import { makeResolve, type Resolve } from "./resolveName.ts"

const folder = mkdtempSync(join(tmpdir(), "hosts-"))
const hostsFile = join(folder, "hosts")
const asked: Array<string> = []
let dns: Socket
let resolve: Resolve

const a = (name: string, data: string): Answer => ({ name, type: "A", ttl: 60, data })
const aaaa = (name: string, data: string): Answer => ({ name, type: "AAAA", ttl: 60, data })
/** By name and type; a number is an error code, null no answer at all. */
const zone = new Map<string, ReadonlyArray<Answer> | number | null>([
  ["both.test A", [a("both.test", "192.0.2.1"), a("both.test", "192.0.2.2")]],
  ["both.test AAAA", [aaaa("both.test", "2001:db8::1")]],
  ["four.test A", [a("four.test", "192.0.2.3")]],
  ["six.test AAAA", [aaaa("six.test", "2001:db8::2")]],
  ["alias.test A", [{ name: "alias.test", type: "CNAME", ttl: 60, data: "far.test" }, a("far.test", "192.0.2.4")]],
  ["alias.test AAAA", [{ name: "alias.test", type: "CNAME", ttl: 60, data: "far.test" }]],
  ["half.test A", [a("half.test", "192.0.2.5")]],
  ["half.test AAAA", null],
  ...["A", "AAAA"].flatMap((type) => [[`dead.test ${type}`, null] as const, [`nobody.test ${type}`, 3] as const]),
  ...["A", "AAAA"].flatMap((type) => [[`broken.test ${type}`, 2] as const, [`refused.test ${type}`, 5] as const])
])

beforeAll(async () => {
  writeFileSync(hostsFile, "# comment\n192.0.2.9 here.test Alias.Test # and so on\n2001:db8::9\there.test\n\nnonsense x.test\n")
  dns = createSocket("udp4", (bytes, from) => {
    const { id, questions } = packet.decode(bytes)
    const { name, type } = questions![0]!
    asked.push(`${name} ${type}`)
    const known = zone.get(`${name} ${type}`) ?? []
    if (zone.get(`${name} ${type}`) === null) return
    const [answers, flags] = typeof known === "number" ? [[], known] : [[...known], 0]
    dns.send(packet.encode({ type: "response", id: id!, flags, questions: questions!, answers }), from.port, from.address)
  })
  await new Promise<void>((done) => dns.bind(0, "127.0.0.1", done))
  resolve = makeResolve({ servers: [`127.0.0.1:${dns.address().port}`], hostsFile })
})

afterAll(() => {
  dns.close()
  rmSync(folder, { recursive: true })
})

const lookUp = (name: string, by: Resolve = resolve) =>
  new Promise<string>((done) =>
    by(name, (error, found) => done(error === null ? found.map((one) => one.address).join(" ") : (error as NodeJS.ErrnoException).code!))
  )

describe("names", () => {
  it.each([
    ["both.test", "2001:db8::1 192.0.2.1 192.0.2.2"],
    ["BOTH.test.", "2001:db8::1 192.0.2.1 192.0.2.2"],
    ["four.test", "192.0.2.3"],
    ["six.test", "2001:db8::2"],
    ["half.test", "192.0.2.5"],
    ["nothing.test", "ENODATA"],
    ["nobody.test", "ENOTFOUND"],
    ["broken.test", "ESERVFAIL"],
    ["refused.test", "EREFUSED"],
    ["dead.test", "ETIMEOUT"],
    ["a..test", "EBADNAME"],
    ["here.test", "192.0.2.9 2001:db8::9"],
    ["localhost", "::1 127.0.0.1"],
    ["deep.localhost.", "::1 127.0.0.1"]
  ])("%s is %s", async (name, answer) => expect(await lookUp(name)).toBe(answer))

  it("follows an alias; one of the hosts file has its address from there", async () => {
    expect(await lookUp("alias.test")).toBe("192.0.2.9")
    writeFileSync(hostsFile, "192.0.2.10 here.test\n")
    utimesSync(hostsFile, new Date(), new Date(Date.now() + 5000))
    expect(await lookUp("alias.test")).toBe("192.0.2.4")
    expect(await lookUp("here.test")).toBe("192.0.2.10")
  })

  it("go on without a hosts file that can not be read", async () => {
    const circle = join(folder, "circle")
    symlinkSync(circle, circle)
    const by = makeResolve({ servers: [`127.0.0.1:${dns.address().port}`], hostsFile: circle })
    expect(await lookUp("four.test", by)).toBe("192.0.2.3")
  })

  it("asks once for all who want a name at the same moment, and again for the next", async () => {
    asked.length = 0
    await Promise.all(Array.from({ length: 50 }, () => lookUp("four.test")))
    expect(asked.sort()).toEqual(["four.test A", "four.test AAAA"])
    await lookUp("four.test")
    expect(asked.length).toBe(4)
  })

  it("names whose servers are dead hold up no other name", async () => {
    let ended = 0
    const dead = Array.from({ length: 64 }, (_, at) => {
      for (const type of ["A", "AAAA"]) zone.set(`n${at}.dead.test ${type}`, null)
      return lookUp(`n${at}.dead.test`).then((code) => {
        ended++
        return code
      })
    })
    expect(await lookUp("four.test")).toBe("192.0.2.3")
    expect(ended).toBe(0)
    expect(new Set(await Promise.all(dead))).toEqual(new Set(["ETIMEOUT"]))
  })

  it("whatever goes wrong with a name is Unresolved, a name server that is not there included", async () => {
    const policy = makeAddressPolicy([parseNetwork("127.0.0.0/8")!])
    const reasonOf = (host: string, by: Resolve) =>
      new Promise((done) => checkedConnect(policy, { host, port: 80, timeoutMillis: 60_000, resolve: by }, (error) => done(error?.reason)))
    for (const host of ["nobody.test", "nothing.test", "refused.test", "broken.test", "dead.test"])
      expect([host, await reasonOf(host, resolve)]).toEqual([host, "Unresolved"])
    expect(await reasonOf("four.test", makeResolve({ servers: ["127.0.0.1:1"], hostsFile }))).toBe("Unresolved")
    expect(await reasonOf("four.test", resolve)).toBe("Denied")
  })

  it("ends after some seconds, however many dead name servers there are", async () => {
    const { port } = dns.address()
    const servers = Array.from({ length: 8 }, (_, at) => `127.0.0.${at + 1}:${port}`)
    const others = await Promise.all(
      servers.slice(1).map(async (server) => {
        const deaf = createSocket("udp4")
        await new Promise<void>((done) => deaf.bind(port, server.split(":")[0]!, done))
        return deaf
      })
    )
    asked.length = 0
    expect(await lookUp("dead.test", makeResolve({ servers, hostsFile }))).toBe("ETIMEOUT")
    expect(asked.sort()).toEqual(["dead.test A", "dead.test AAAA"]) // no second round
    for (const deaf of others) deaf.close()
  })
})
