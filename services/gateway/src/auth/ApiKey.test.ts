import { uuidv7 } from "@connect-domain/domain/uuidv7.ts"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { hashSecret, keyIdOf, last4, makeSecret, matchesHash } from "./ApiKey.ts"

describe("API keys", () => {
  it("carry their id, their environment and a checksum", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.constantFrom("test" as const, "live" as const), (id, environment) => {
        const secret = makeSecret(environment, id)
        expect(secret.startsWith(`sk_${environment}_`)).toBe(true)
        expect(keyIdOf(secret)).toBe(id)
        expect(last4(secret)).toBe(secret.slice(-4))
        expect(matchesHash(secret, hashSecret(secret))).toBe(true)
        expect(makeSecret(environment, id)).not.toBe(secret)
      })
    )
  })

  it("any changed character, any cut and any other text is seen without a look-up", () => {
    const secret = makeSecret("test", uuidv7())
    fc.assert(
      fc.property(fc.nat(secret.length - 1), fc.constantFrom(..."abcz27_A"), (at, char) => {
        fc.pre(secret[at] !== char)
        expect(keyIdOf(secret.slice(0, at) + char + secret.slice(at + 1))).toBeUndefined()
      })
    )
    for (const text of [
      "",
      "sk_test_",
      secret.slice(1),
      `${secret}a`,
      secret.slice(0, -1),
      secret.toUpperCase(),
      ` ${secret}`,
      secret.replace("test", "live")
    ]) {
      expect(keyIdOf(text)).toBeUndefined()
    }
  })

  it("a hash of another length never matches", () => {
    const secret = makeSecret("live", uuidv7())
    for (const length of [0, 16, 31, 33, 64]) expect(matchesHash(secret, new Uint8Array(length))).toBe(false)
  })
})
