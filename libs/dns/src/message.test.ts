/** What is accepted as the reply to a question, and the text of each type's value. */
import { type Answer, encode } from "dns-packet"
import fc from "fast-check"
import { expect, test } from "vitest"
import { parsePeer } from "./DnsSettings.ts"
import { decodeReply, encodeQuery, isWithin, parentName, plainName, type QueryType } from "./message.ts"

const question = { name: "www.acme.test", type: "A" as const }
const respond = (id: number, name: string, type: QueryType, answers: ReadonlyArray<Answer> = []) =>
  encode({ type: "response", id, flags: 1 << 10, questions: [{ name, type }], answers: [...answers] })

test("only an answer to this question with this id is a reply", () => {
  expect(decodeReply(respond(7, "WWW.Acme.test", "A"), 7, question)).toMatchObject({ rcode: 0, authoritative: true })
  expect(decodeReply(respond(8, "www.acme.test", "A"), 7, question)).toBeUndefined()
  expect(decodeReply(respond(7, "www.other.test", "A"), 7, question)).toBeUndefined()
  expect(decodeReply(respond(7, "www.acme.test", "AAAA"), 7, question)).toBeUndefined()
  expect(decodeReply(encodeQuery(7, question, { edns: true }), 7, question)).toBeUndefined()
})

test("bytes of any kind are a reply or nothing, never a defect", () => {
  const whole = respond(7, "www.acme.test", "A", [{ name: "www.acme.test", type: "A", ttl: 1, data: "192.0.2.1" }])
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeReply(Buffer.from(bytes), 7, question)))
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
      const broken = Buffer.from(whole)
      broken[at] = byte
      decodeReply(broken, 7, question)
    })
  )
})

test("values in their normal form; TXT exactly as sent", () => {
  const value = (answer: Answer) => decodeReply(respond(1, "a.test", "A", [answer]), 1, { name: "a.test", type: "A" })?.answers[0]?.value
  expect(value({ name: "a.test", type: "CNAME", ttl: 1, data: "Edge.Vendor.TEST" })).toBe("edge.vendor.test")
  expect(value({ name: "a.test", type: "AAAA", ttl: 1, data: "2001:DB8:0:0::1" })).toBe("2001:db8::1")
  expect(value({ name: "a.test", type: "TXT", ttl: 1, data: ['"quoted"', " and more"] })).toBe('"quoted" and more')
  expect(value({ name: "a.test", type: "MX", ttl: 1, data: { preference: 10, exchange: "MX.test" } })).toBe("10 mx.test")
  expect(value({ name: "a.test", type: "CAA", ttl: 1, data: { flags: 0, tag: "issue", value: "CA.test" } })).toBe('0 issue "CA.test"')
})

test("names", () => {
  expect([plainName("A.Test."), plainName("."), parentName("a.test"), parentName("test")]).toEqual(["a.test", "", "test", ""])
  expect([isWithin("a.test", "test"), isWithin("atest", "test"), isWithin("test", "test"), isWithin("a.test", "")]).toEqual([
    true,
    false,
    true,
    true
  ])
})

test("an override is an address and a port", () => {
  expect(parsePeer("127.0.0.1:5300")).toEqual({ address: "127.0.0.1", port: 5300 })
  expect(parsePeer("[2001:db8::1]:53")).toEqual({ address: "2001:db8::1", port: 53 })
  for (const wrong of ["", "127.0.0.1", "name.test:53", "127.0.0.1:0", "127.0.0.1:70000", "2001:db8::1:53"])
    expect(parsePeer(wrong)).toBeUndefined()
})
