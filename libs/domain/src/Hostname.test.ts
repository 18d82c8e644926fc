/** D6, D7: one form for every spelling of a host name, and which names are refused; tables, corpora and properties. */
import { Result } from "effect"
import fc from "fast-check"
import { getPublicSuffix } from "tldts"
// @ts-expect-error: the package ships no types
import { toASCII } from "tr46"
import { describe, expect, it } from "vitest"
import { apexOf, canonicalise, fromRegistryKey, type HostnamePolicy, kindOf, parseHostname, registryKey } from "./Hostname.ts"

const sandbox: HostnamePolicy = { allowTest: true, ownNames: ["edge.connect.test", "connect.test"] }
const production: HostnamePolicy = { allowTest: false, ownNames: ["edge.connect-domain.net"] }
const accept = (input: string, policy = sandbox) => Result.getOrThrow(canonicalise(input, policy)) as string
const refuse = (input: string, policy = sandbox) => {
  const result = canonicalise(input, policy)
  return Result.isFailure(result) ? result.failure.reason : `accepted as ${result.success}`
}

describe("canonical form", () => {
  it.each([
    ["shop.acme.test", "shop.acme.test"],
    ["SHOP.Acme.TEST.", "shop.acme.test"],
    ["bücher.de", "xn--bcher-kva.de"],
    ["BÜCHER.de", "xn--bcher-kva.de"],
    ["shop.faß.de", "shop.xn--fa-hia.de"],
    ["xn--bcher-kva.de", "xn--bcher-kva.de"],
    ["ｓｈｏｐ.acme.com", "shop.acme.com"],
    ["例え.jp", "xn--r8jz45g.jp"],
    ["a.b.c.d.e.acme.co.uk", "a.b.c.d.e.acme.co.uk"],
    ["foo.github.io", "foo.github.io"]
  ])("%s is %s", (input, output) => expect(accept(input)).toBe(output))
})

describe("refused", () => {
  it.each([
    ["", "empty"],
    [".", "empty"],
    ["shop..acme.com", "label_empty"],
    [".acme.com", "label_empty"],
    ["acme.com..", "label_empty"],
    [`${"a".repeat(64)}.com`, "label_too_long"],
    [`${"a.".repeat(130)}com`, "too_long"],
    [`${"abcdefg.".repeat(29)}com`, "too_long"],
    ["sh op.acme.com", "character"],
    [" shop.acme.com", "character"],
    ["shop.acme.com\n", "character"],
    ["shop\u0000.acme.com", "character"],
    ["_dmarc.acme.com", "character"],
    ["shop%2eacme.com", "character"],
    ["shop.acme.com:443", "character"],
    ["https://shop.acme.com", "character"],
    ["a@acme.com", "character"],
    ["shop\u3002acme.com", "unicode"],
    ["shop\uff0eacme.com", "unicode"],
    ["shop\uff61acme.com", "unicode"],
    ["xn--a.com", "unicode"],
    ["-shop.acme.com", "hyphen"],
    ["shop-.acme.com", "hyphen"],
    ["ab--cd.acme.com", "hyphen"],
    ["127.0.0.1", "ip_address"],
    ["0x7f.1", "ip_address"],
    ["2130706433", "ip_address"],
    ["１２７.0.0.1", "ip_address"],
    ["[::1]", "character"],
    ["::1", "character"],
    ["shop.acme.1", "ip_address"],
    ["*.acme.com", "wildcard"],
    ["a.*.acme.com", "character"],
    ["localhost", "special_use"],
    ["a.localhost", "special_use"],
    ["shop.acme.example", "special_use"],
    ["a.onion", "special_use"],
    ["1.0.10.in-addr.arpa", "special_use"],
    ["printer.local", "special_use"],
    ["acme", "single_label"],
    ["com", "single_label"],
    ["co.uk", "public_suffix"],
    ["github.io", "public_suffix"],
    ["connect.test", "own_name"],
    ["edge.connect.test", "own_name"],
    ["x.edge.connect.test", "own_name"],
    ["other.connect.test", "own_name"]
  ])("%j: %s", (input, reason) => expect(refuse(input)).toBe(reason))

  it("names under .test outside the sandbox, and parents of our own name", () => {
    expect(refuse("shop.acme.test", production)).toBe("special_use")
    expect(refuse("connect-domain.net", production)).toBe("own_name")
    expect(accept("other.connect-domain.net", production)).toBe("other.connect-domain.net")
  })

  it("never more than the message names: no input is echoed", () => {
    const result = canonicalise("s3cret value.acme.com", sandbox)
    expect(JSON.stringify(result)).not.toContain("s3cret")
  })
})

const labelCharacters = "abcxyzABC019-äöüßéñçαβγδабвгд例えテスト中文한국ｓＡ\u200d\u0301ıİſ"
const anyName = fc
  .array(fc.string({ unit: fc.constantFrom(...labelCharacters), minLength: 0, maxLength: 12 }), { minLength: 1, maxLength: 5 })
  .map((labels) => labels.join("."))
const wild = fc.oneof(anyName, fc.string({ unit: "binary", maxLength: 40 }), fc.domain(), fc.webAuthority(), fc.ipV4(), fc.ipV6())

describe("properties", () => {
  it("is idempotent and prints only lower-case letters, digits, hyphens and dots", () => {
    fc.assert(
      fc.property(wild, (input) => {
        const once = parseHostname(input)
        if (Result.isFailure(once)) return
        expect(once.success).toMatch(/^(?:\*\.)?[a-z0-9.-]+$/)
        expect(Result.getOrThrow(parseHostname(once.success))).toBe(once.success)
      }),
      { numRuns: 3000 }
    )
  })

  it("agrees with tr46 on what the A-labels are, and never accepts what tr46 refuses", () => {
    const oracle = (input: string) =>
      toASCII(input, {
        checkBidi: true,
        checkJoiners: true,
        checkHyphens: false,
        useSTD3ASCIIRules: true,
        transitionalProcessing: false,
        verifyDNSLength: true
      })
    fc.assert(
      fc.property(anyName, (input) => {
        const ours = parseHostname(input)
        const theirs = oracle(input.endsWith(".") ? input.slice(0, -1) : input)
        if (Result.isSuccess(ours)) expect(ours.success).toBe(theirs)
        else if (theirs !== null) expect(["hyphen", "ip_address"]).toContain(ours.failure.reason)
      }),
      { numRuns: 3000 }
    )
  })

  it("agrees with the WHATWG URL parser wherever it accepts", () => {
    fc.assert(
      fc.property(wild, (input) => {
        const ours = parseHostname(input)
        if (Result.isFailure(ours) || ours.success.startsWith("*")) return
        expect(new URL(`http://${input.endsWith(".") ? input.slice(0, -1) : input}/`).hostname).toBe(ours.success)
      }),
      { numRuns: 3000 }
    )
  })

  it("spelling does not matter: case, one trailing dot, Unicode or A-label", () => {
    fc.assert(
      fc.property(fc.domain(), fc.boolean(), (domain, dot) => {
        const spelt = [...domain].map((char, index) => (index % 2 ? char.toUpperCase() : char)).join("") + (dot ? "." : "")
        expect(parseHostname(spelt)).toEqual(parseHostname(domain))
      })
    )
  })

  it("registry keys go there and back, wildcards too", () => {
    expect(registryKey("shop.acme.com")).toBe("com.acme.shop")
    expect(registryKey("*.acme.com")).toBe("com.acme._wildcard")
    expect(fromRegistryKey("com.acme._wildcard")).toBe("*.acme.com")
    expect(fromRegistryKey("_meta")).toBeUndefined()
    fc.assert(
      fc.property(fc.domain(), (domain) => {
        expect(fromRegistryKey(registryKey(domain.toLowerCase()))).toBe(domain.toLowerCase())
      })
    )
  })

  it("no public suffix can be onboarded, none of either section", () => {
    for (const suffix of ["com", "co.uk", "com.au", "github.io", "vercel.app", "s3.amazonaws.com", "blogspot.com", "pvt.k12.ma.us"]) {
      expect(getPublicSuffix(suffix, { allowPrivateDomains: true })).toBe(suffix)
      expect(["public_suffix", "single_label"]).toContain(refuse(suffix))
    }
  })
})

describe("wildcards, where they are allowed", () => {
  const wild: HostnamePolicy = { ...sandbox, allowWildcard: true }

  it.each([
    ["*.acme.com", "*.acme.com"],
    ["*.Shop.Bücher.DE.", "*.shop.xn--bcher-kva.de"],
    ["*.me.github.io", "*.me.github.io"]
  ])("%s is %s", (input, output) => {
    expect(accept(input, wild)).toBe(output)
    expect(kindOf(output)).toBe("subdomain")
  })

  it.each([
    ["*", "character"],
    ["*.", "character"],
    ["*.*.acme.com", "character"],
    ["a.*.acme.com", "character"],
    ["w*.acme.com", "character"],
    ["*.com", "single_label"],
    ["*.test", "single_label"],
    ["*.localhost", "special_use"],
    ["*.connect.test", "own_name"],
    ["*.edge.connect.test", "own_name"]
  ])("%s: %s", (input, reason) => expect(refuse(input, wild)).toBe(reason))

  it("D7: none over a public suffix, nor over names that all are such", () => {
    for (const suffix of [
      "co.uk",
      "com.au",
      "github.io",
      "vercel.app",
      "s3.amazonaws.com",
      "pvt.k12.ma.us",
      "kawasaki.jp",
      "compute.amazonaws.com"
    ]) {
      expect(refuse(`*.${suffix}`, wild)).toBe("public_suffix")
    }
    expect(refuse("*.ck", wild)).toBe("single_label")
  })
})

it("knows an apex from a sub-domain", () => {
  expect([kindOf("acme.co.uk"), kindOf("www.acme.co.uk"), kindOf("acme.test"), kindOf("me.github.io")]).toEqual([
    "apex",
    "subdomain",
    "apex",
    "apex"
  ])
  expect(apexOf("a.b.acme.co.uk")).toBe("acme.co.uk")
  expect(apexOf("*.acme.co.uk")).toBe("acme.co.uk")
})
