/** CAA by the rules of RFC 8659 and RFC 8657: the documents' own examples, and properties that hold for any record set. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type CaaRecord, caaNames, evaluateCaa, parseCaa } from "./caa.ts"

const us = { identities: ["letsencrypt.org"], accountUri: "https://ca.test/acct/1", method: "http-01" }
const record = (text: string): CaaRecord => {
  const [, flags, tag, value] = /^(\d+) (\S+) (.*)$/.exec(text)!
  return { flags: Number(flags), tag: tag!, value: value! }
}
const verdict = (texts: ReadonlyArray<string>, wildcard = false, issuer = us) => {
  const result = evaluateCaa(texts.map(record), wildcard, issuer)
  return result.allowed ? "allowed" : result.because
}

describe("evaluateCaa", () => {
  test.each([
    [[], "allowed"],
    [["0 iodef mailto:a@b.test"], "allowed"],
    [["0 issue letsencrypt.org"], "allowed"],
    [["0 ISSUE LetsEncrypt.ORG"], "allowed"],
    [["0 issue  letsencrypt.org ; "], "allowed"],
    [["0 issue ca1.example", "0 issue letsencrypt.org"], "allowed"],
    [["0 issue ca1.example"], "issuer"],
    [["0 issue ;"], "issuer"],
    [["0 issue %%%%%"], "issuer"],
    [["0 issue letsencrypt.org; =x"], "issuer"],
    [["0 issuewild ca1.example"], "allowed"],
    [["128 tbs unknown"], "critical"],
    [["0 tbs unknown"], "allowed"],
    [["128 issue letsencrypt.org"], "allowed"],
    [["0 issue letsencrypt.org; accounturi=https://ca.test/acct/1"], "allowed"],
    [["0 issue letsencrypt.org; accounturi=https://ca.test/acct/2"], "account"],
    [["0 issue letsencrypt.org; accounturi=https://ca.test/acct/1; accounturi=https://ca.test/acct/1"], "account"],
    [["0 issue letsencrypt.org; validationmethods=dns-01,http-01"], "allowed"],
    [["0 issue letsencrypt.org; validationmethods=dns-01"], "method"],
    [["0 issue letsencrypt.org; validationmethods="], "method"],
    [["0 issue letsencrypt.org; validationmethods=dns-01", "0 issue letsencrypt.org; cansignhttpexchanges=yes"], "allowed"],
    [["0 issue letsencrypt.org; accounturi=x; validationmethods=http-01", "0 issue letsencrypt.org; validationmethods=dns-01"], "method"]
  ])("%j: %s", (texts, expected) => {
    expect(verdict(texts)).toBe(expected)
  })

  test("issuewild decides alone for wildcards, and for nothing else", () => {
    expect(verdict(["0 issue letsencrypt.org", "0 issuewild ;"], true)).toBe("issuer")
    expect(verdict(["0 issue ;", "0 issuewild letsencrypt.org"], true)).toBe("allowed")
    expect(verdict(["0 issue ;", "0 issuewild letsencrypt.org"])).toBe("issuer")
    expect(verdict(["0 issue ca1.example"], true)).toBe("issuer")
  })

  test("a CA without CAA names is not bound", () => {
    expect(verdict(["0 issue ;"], false, { ...us, identities: [] })).toBe("allowed")
  })

  const anyRecord = fc.record({
    flags: fc.constantFrom(0, 128),
    tag: fc.constantFrom("issue", "issuewild", "iodef", "Issue", "tbs"),
    value: fc.oneof(
      fc.constantFrom("letsencrypt.org", "ca1.example", ";", "", "letsencrypt.org; accounturi=https://ca.test/acct/1", "ca1.example; a=b"),
      fc.string()
    )
  })
  const anySet = fc.array(anyRecord, { maxLength: 6 })

  test("the order of records means nothing", () => {
    fc.assert(
      fc.property(anySet, fc.boolean(), (records, wildcard) => {
        expect(evaluateCaa(records.toReversed(), wildcard, us).allowed).toBe(evaluateCaa(records, wildcard, us).allowed)
      })
    )
  })

  test("adding a plain permission allows, unless an unknown critical property stands there", () => {
    fc.assert(
      fc.property(anySet, fc.boolean(), (records, wildcard) => {
        const tag = wildcard ? "issuewild" : "issue"
        const result = evaluateCaa([...records, { flags: 0, tag, value: "letsencrypt.org" }], wildcard, us)
        expect(result.allowed || result.because === "critical").toBe(true)
      })
    )
  })

  test("allowed only with no restriction, or with one that names the CA at its beginning", () => {
    fc.assert(
      fc.property(anySet, (records) => {
        const restricting = records.filter((each) => each.tag.toLowerCase() === "issue")
        if (evaluateCaa(records, false, us).allowed && restricting.length > 0)
          expect(restricting.some((each) => /^[ \t]*letsencrypt\.org/i.test(each.value))).toBe(true)
      })
    )
  })

  test("issuing for nobody is never turned into a permission by an account or a method", () => {
    fc.assert(
      fc.property(anySet, fc.string(), (records, accountUri) => {
        const strict = evaluateCaa(records, false, { ...us, accountUri: undefined, method: "none" })
        if (strict.allowed) expect(evaluateCaa(records, false, { ...us, accountUri }).allowed).toBe(true)
      })
    )
  })
})

test("text and climb", () => {
  expect(parseCaa('0 issue "a.test; x=\\"y"')).toEqual({ flags: 0, tag: "issue", value: 'a.test; x=\\"y' })
  expect(parseCaa("nonsense")).toBeUndefined()
  expect(caaNames("*.shop.example.com")).toEqual(["shop.example.com", "example.com", "com"])
})
