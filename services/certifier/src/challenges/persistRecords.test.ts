/** Lasting records: what is offered is accepted, and nothing but our own account's. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { isAccepted, type PersistTerms, persistValue } from "./persistRecords.ts"

const plain: PersistTerms = {
  issuers: ["authority.example", "ca.example"],
  accountUri: "https://ca.example/acct/1",
  hashPrefix: null,
  thumbprints: ["old", "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"]
}
const hashing: PersistTerms = { ...plain, hashPrefix: "https://ca.example/account-hash/" }
const now = Date.UTC(2026, 10, 23)
const seconds = now / 1000

describe("DNS-PERSIST-01 records", () => {
  it("what is offered is accepted, for names and wildcards, in both forms", () => {
    for (const terms of [plain, hashing]) {
      for (const hostname of ["shop.example.com", "*.example.com"]) {
        const value = persistValue(hostname, terms)
        expect(isAccepted(value, hostname, terms, now)).toBe(true)
        expect(value.includes("policy=wildcard")).toBe(hostname.startsWith("*."))
      }
    }
    expect(persistValue("*.example.com", plain)).toBe("authority.example; accounturi=https://ca.example/acct/1; policy=wildcard")
  })

  it("the hashed account is bound to the name; a former key's record and one without a name stay good", () => {
    const value = persistValue("shop.example.com", hashing)
    expect(value).toMatch(/^authority\.example; accounturi=https:\/\/ca\.example\/account-hash\/sha-256\/[A-Za-z0-9_-]{43}$/)
    expect(isAccepted(value, "www.example.com", hashing, now)).toBe(false)
    expect(isAccepted(persistValue("shop.example.com", { ...hashing, thumbprints: ["old"] }), "shop.example.com", hashing, now)).toBe(true)
    expect(isAccepted(persistValue("*", { ...hashing }), "shop.example.com", hashing, now)).toBe(true)
    expect(isAccepted(persistValue("shop.example.com", plain), "shop.example.com", hashing, now)).toBe(false)
  })

  it("the draft's own test vectors (draft-ietf-acme-dns-persist-02, section 10.2)", () => {
    const terms = {
      issuers: ["authority.example"],
      accountUri: "https://ca.example/acct/123",
      hashPrefix: "https://ca.example/account-hash/",
      thumbprints: ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"]
    }
    const start = "authority.example; accounturi=https://ca.example/account-hash/sha-256/"
    expect(persistValue("example.com", terms)).toBe(`${start}5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw`)
    expect(isAccepted(`${start}NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug`, "example.com", terms, now)).toBe(true)
  })

  const account = "accounturi=https://ca.example/acct/1"
  it.each([
    ["any name of the CA, any case, blanks, other parameters", `CA.Example ;\t${account} ; future=1;policy=WILDCARD`, true],
    ["an end that is far", `ca.example; ${account}; persistUntil=${seconds + 86_400}; policy=wildcard`, true],
    ["another CA", `other.example; ${account}; policy=wildcard`, false],
    ["another account", "ca.example; accounturi=https://ca.example/acct/2; policy=wildcard", false],
    ["an account in another case", "ca.example; accounturi=https://CA.example/acct/1; policy=wildcard", false],
    ["no account", "ca.example; policy=wildcard", false],
    ["no policy for a wildcard", `ca.example; ${account}`, false],
    ["a policy that nobody knows", `ca.example; ${account}; policy=all`, false],
    ["an end within the hour", `ca.example; ${account}; persistUntil=${seconds + 60}; policy=wildcard`, false],
    ["an end that is no number", `ca.example; ${account}; persistUntil=2030-01-01; policy=wildcard`, false],
    ["a parameter twice", `ca.example; ${account}; ${account}; policy=wildcard`, false],
    ["a semicolon at the end", `ca.example; ${account}; policy=wildcard;`, false],
    ["something else", "v=spf1 -all", false],
    ["nothing", "", false]
  ])("%s", (_, value, accepted) => {
    expect(isAccepted(value, "*.example.com", plain, now)).toBe(accepted)
  })

  it("never accepts what does not hold our account, whatever stands there", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        const value = `${before}accounturi=https://elsewhere.example/1${after}`
        expect(isAccepted(value, "a.example.com", plain, now)).toBe(false)
      })
    )
    fc.assert(fc.property(fc.string(), (value) => void isAccepted(value, "a.example.com", hashing, now)))
  })
})
