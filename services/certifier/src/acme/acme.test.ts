/** RFC examples and properties of the parts that need no server. */
import { createPublicKey, verify } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readProblem, reasonOf } from "./AcmeError.ts"
import { bindExternalAccount, generateKeyPem, readAccountKey, signJws, thumbprintOf } from "./jws.ts"
import { NoncePool } from "./NoncePool.ts"
import { certIdOf } from "./renewalInfo.ts"
import { readRetryAfter } from "./retryAfter.ts"
import { makeKey, makeSigningRequest } from "./signingRequest.ts"

describe("Retry-After", () => {
  const now = Date.parse("2027-01-01T00:00:00Z")
  it("reads seconds and HTTP dates, and nothing else", () => {
    assert.strictEqual(readRetryAfter("120", now), 120)
    assert.strictEqual(readRetryAfter("Fri, 01 Jan 2027 00:02:00 GMT", now), 120)
    assert.strictEqual(readRetryAfter("Thu, 31 Dec 2026 23:00:00 GMT", now), 0)
    for (const bad of [undefined, "", "-5", "soon", "1.5", "9999999999999"]) assert.strictEqual(readRetryAfter(bad, now), undefined)
  })
})

describe("CertID", () => {
  it("A4: CertID is RFC 9773's example", () => {
    assert.strictEqual(certIdOf("69885b6b87464041e1b37b847ba0ae2cde01c8d4", "87654321"), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
  })
  it("keeps a serial below 0x80 as it is and pads an odd digit", () => {
    assert.strictEqual(certIdOf("00", "7f"), "AA.fw")
    assert.strictEqual(certIdOf("00", "abc"), "AA.Crw")
  })
})

describe("JWS", () => {
  it("verifies under the public key, over exactly what it carries", () => {
    const key = readAccountKey(generateKeyPem())
    const jws = signJws({ key, kid: "https://ca.test/1" }, "https://ca.test/order", { a: 1 }, "n0nce")
    const header = JSON.parse(Buffer.from(jws.protected, "base64url").toString())
    assert.deepStrictEqual(header, { alg: "ES256", kid: "https://ca.test/1", nonce: "n0nce", url: "https://ca.test/order" })
    const publicKey = { key: createPublicKey(key.privateKey), dsaEncoding: "ieee-p1363" } as const
    const signed = Buffer.from(`${jws.protected}.${jws.payload}`)
    assert.isTrue(verify("sha256", signed, publicKey, Buffer.from(jws.signature, "base64url")))
  })
  it("has an empty payload for POST-as-GET and the key itself before there is an account", () => {
    const key = readAccountKey(generateKeyPem())
    const jws = signJws({ key }, "https://ca.test/x", undefined, "n")
    assert.strictEqual(jws.payload, "")
    assert.deepStrictEqual(JSON.parse(Buffer.from(jws.protected, "base64url").toString()).jwk, key.jwk)
  })
  it("makes thumbprints as RFC 7638 says: members sorted, no spaces", () => {
    const jwk = { y: "b", x: "a", kty: "EC", crv: "P-256" } as const
    assert.strictEqual(thumbprintOf(jwk), thumbprintOf({ crv: "P-256", kty: "EC", x: "a", y: "b" }))
  })
  it("binds an external account with HS256 and no nonce", () => {
    const key = readAccountKey(generateKeyPem())
    const jws = bindExternalAccount({ kid: "kid-1", hmacKey: "c2VjcmV0" }, key.jwk, "https://ca.test/new")
    assert.deepStrictEqual(JSON.parse(Buffer.from(jws.protected, "base64url").toString()), {
      alg: "HS256",
      kid: "kid-1",
      url: "https://ca.test/new"
    })
  })
})

describe("problem documents", () => {
  const type = (name: string) => `urn:ietf:params:acme:error:${name}`
  it("sorts by who acts next", () => {
    const tag = (problem: unknown, status: number) => reasonOf(readProblem(problem, status), status, undefined)._tag
    assert.strictEqual(tag({ type: type("rateLimited"), detail: "slow" }, 429), "RateLimited")
    assert.strictEqual(tag("<html>", 429), "RateLimited")
    assert.strictEqual(tag({ type: type("accountDoesNotExist") }, 400), "AccountUnknown")
    assert.strictEqual(tag(undefined, 503), "Unavailable")
    assert.strictEqual(tag(undefined, 404), "Gone")
    assert.strictEqual(tag({ type: type("rejectedIdentifier"), detail: "no" }, 400), "Refused")
  })
  it("tells a limit of the account from a limit of a name", () => {
    const scope = (detail: string) => {
      const reason = reasonOf(readProblem({ type: type("rateLimited"), detail }, 429), 429, 60)
      return reason._tag === "RateLimited" ? reason.scope : undefined
    }
    assert.strictEqual(scope("too many new orders (300) from this account in the last 3h0m0s, retry after 2027-01-01"), "account")
    assert.strictEqual(scope('too many certificates (50) already issued for "example.com" in the last 168h0m0s'), "name")
    assert.strictEqual(scope('too many failed authorizations (5) for "a.example.com" in the last 1h0m0s'), "name")
  })
  it("takes a compound problem's first part and its name", () => {
    const inner = { type: type("caa"), detail: "CAA forbids", identifier: { type: "dns", value: "a.test" } }
    const problem = readProblem({ type: type("compound"), detail: "several", subproblems: [inner] }, 403)
    assert.strictEqual(problem.type, "caa")
    assert.strictEqual(problem.identifier, "a.test")
    assert.include(problem.detail, "CAA forbids")
  })
})

describe("NoncePool", () => {
  it("hands out the newest first and forgets the stale", () => {
    const pool = new NoncePool()
    pool.put("a", 0)
    pool.put("b", 1000)
    pool.put("not a nonce!", 1000)
    assert.strictEqual(pool.take(2000), "b")
    assert.strictEqual(pool.take(500_000), undefined)
    assert.strictEqual(pool.size, 0)
  })
  it("stays bounded", () => {
    const pool = new NoncePool()
    for (let i = 0; i < 10_000; i++) pool.put(`n${i}`, 0)
    assert.isAtMost(pool.size, 256)
  })
})

describe("signing request", () => {
  it.effect("names every name, under the given key", () =>
    Effect.gen(function* () {
      const csr = yield* makeSigningRequest(["a.test", "*.a.test"], yield* makeKey)
      assert.include(Buffer.from(csr).toString("latin1"), "*.a.test")
    })
  )
  it.effect("has a fresh key each time", () =>
    Effect.gen(function* () {
      assert.notStrictEqual(yield* makeKey, yield* makeKey)
    })
  )
})
