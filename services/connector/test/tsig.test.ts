/** Signatures hold for the message, the key and the request they were made for, and for nothing else. */
import { createHmac } from "node:crypto"
import fc from "fast-check"
import { expect, test } from "vitest"
import { sign, type TsigKey, verify } from "../src/providers/rfc2136/tsig.ts"
import { encodeTrial } from "../src/providers/rfc2136/updateMessage.ts"
import { encodeName, encodeRecord } from "../src/providers/rfc2136/wire.ts"

const key: TsigKey = { name: "key.example", algorithm: "hmac-sha256", secret: Buffer.from("0123456789abcdef0123456789abcdef") }
const message = encodeTrial(77, "acme.test", "x.acme.test")
const now = 1_800_000_000
const request = sign(message, key, now)
const uint = (value: number, bytes: number) => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

/** A server's answer as RFC 8945 §4.3 and §5.4.1 have it, written independently of the code under test. */
const answerOf = (options: { readonly requestMac?: Buffer; readonly at?: number; readonly error?: number } = {}) => {
  const { requestMac = request.mac, at = now, error = 0 } = options
  const bare = Buffer.concat([uint(77, 2), uint(0xa800, 2), Buffer.alloc(8)])
  const timers = Buffer.concat([uint(at, 6), uint(300, 2)])
  const variables = Buffer.concat([
    encodeName(key.name),
    uint(255, 2),
    uint(0, 4),
    encodeName(key.algorithm),
    timers,
    uint(error, 2),
    uint(0, 2)
  ])
  const mac = createHmac("sha256", key.secret)
    .update(Buffer.concat([uint(requestMac.length, 2), requestMac, bare, variables]))
    .digest()
  const data = Buffer.concat([encodeName(key.algorithm), timers, uint(32, 2), mac, uint(77, 2), uint(error, 2), uint(0, 2)])
  const whole = Buffer.concat([bare, encodeRecord({ name: key.name, type: 250, class: 255, ttl: 0, data })])
  whole.writeUInt16BE(1, 10)
  return whole
}

test("a server's answer to this request is valid, also when it refuses", () => {
  expect(verify(answerOf(), key, request.mac, now + 299)).toEqual({ kind: "valid" })
  expect(verify(answerOf({ error: 18 }), key, request.mac, now)).toEqual({ kind: "refused", error: 18 })
})

test("an answer to another request, of another time, of another key, or none of all is forged", () => {
  expect(verify(answerOf({ requestMac: Buffer.alloc(32, 1) }), key, request.mac, now).kind).toBe("forged")
  expect(verify(answerOf({ at: now - 301 }), key, request.mac, now).kind).toBe("forged")
  expect(verify(answerOf(), { ...key, secret: Buffer.alloc(32, 1) }, request.mac, now).kind).toBe("forged")
  expect(verify(answerOf(), { ...key, name: "other.example" }, request.mac, now).kind).toBe("forged")
  expect(verify(request.message, key, request.mac, now).kind).toBe("forged")
  expect(verify(message, key, request.mac, now).kind).toBe("forged")
})

test("whatever is changed in an answer, it is never valid", () => {
  const whole = answerOf()
  // The TSIG record's class and TTL are not looked at: they are part of what is signed with their only possible values (§4.3.3).
  const fixed = 12 + encodeName(key.name).length + 2
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      if (at < 2 || (at >= fixed && at < fixed + 6)) return
      const broken = Buffer.from(whole)
      broken[at] = broken[at]! ^ flip
      if (verify(broken, key, request.mac, now).kind === "valid") {
        // Names are compared without case.
        expect(flip).toBe(0x20)
      }
    }),
    { numRuns: 2000 }
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      expect(verify(Buffer.from(bytes), key, request.mac, now).kind).not.toBe("valid")
    })
  )
})
