import fc from "fast-check"
import { expect, it } from "vitest"
import { challengeName, isChallengeValue, newChallengeValue } from "./Challenge.ts"
import { normaliseValue, type RecordType } from "./DnsRecord.ts"
import { isUuid, uuidv7 } from "./uuidv7.ts"

it("ids are version 7, in order, and unique within one millisecond", () => {
  const ids = Array.from({ length: 20_000 }, () => uuidv7())
  expect(new Set(ids).size).toBe(ids.length)
  expect([...ids].sort()).toEqual(ids)
  for (const id of ids.slice(0, 100)) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(Math.abs(Number.parseInt(ids[0]!.replaceAll("-", "").slice(0, 12), 16) - Date.now())).toBeLessThan(60_000)
})

it("ids of a clock that steps back still ascend", () => {
  const ids = [uuidv7(Date.now() + 1000), uuidv7(5), uuidv7(6)]
  expect([...ids].sort()).toEqual(ids)
})

it("a malformed id is seen as such", () => {
  for (const text of ["", "x", uuidv7().toUpperCase(), `${uuidv7()} `, uuidv7().replaceAll("-", ""), 7, null])
    expect(isUuid(text)).toBe(false)
  expect(isUuid(uuidv7())).toBe(true)
})

it("challenges carry 160 random bits", () => {
  const values = Array.from({ length: 500 }, newChallengeValue)
  expect(new Set(values).size).toBe(500)
  expect(values.every(isChallengeValue)).toBe(true)
  expect(challengeName("shop.acme.com")).toBe("_customdomain-challenge.shop.acme.com")
  expect(challengeName("*.acme.com")).toBe("_customdomain-challenge.acme.com")
})

it.each([
  ["CNAME", "Edge.Connect.TEST.", "edge.connect.test"],
  ["AAAA", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["A", " 192.0.2.1", "192.0.2.1"],
  ["TXT", '"v=spf1 " "-all"', "v=spf1 -all"],
  ["TXT", 'a "quoted" word', 'a "quoted" word'],
  ["TXT", '"say \\"hi\\" \\228"', 'say "hi" ä'],
  ["CAA", "0  ISSUE   letsencrypt.org", '0 issue "letsencrypt.org"'],
  ["CAA", '128 issue ";"', '128 issue ";"'],
  ["MX", "MX.Example.com.", "mx.example.com"]
] as const)("%s %s is %s", (type, value, normal) => {
  expect(normaliseValue(type, value)).toBe(normal)
})

it("normal forms are their own normal form", () => {
  const once = (type: RecordType, value: string) => {
    const normal = normaliseValue(type, value)
    expect(normaliseValue(type, normal)).toBe(normal)
  }
  fc.assert(fc.property(fc.ipV6(), (address) => once("AAAA", address)))
  fc.assert(fc.property(fc.domain(), (name) => once("CNAME", name)))
})
