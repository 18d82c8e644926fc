/** Descriptors: what is accepted as a credential, what people are shown, and who is recognised by name servers. */
import { Effect, Result } from "effect"
import { describe, expect, test } from "vitest"
import { detectProvider, knownProviders } from "../src/knownProviders.ts"
import { toView } from "../src/providerCalls.ts"
import { fromContent, toContent } from "../src/providers/powerdns/content.ts"
import { descriptorOf, registry } from "../src/providers/registry.ts"

const reach = { request: () => Effect.never, connect: () => Effect.never }
const problem = (key: string, token: unknown) =>
  Result.match(descriptorOf(key)!.make(token, reach), { onFailure: (text) => text, onSuccess: () => undefined })

describe("descriptors", () => {
  test("stand in the registry under their key, with a form and a guide", () => {
    for (const [key, descriptor] of Object.entries(registry)) {
      expect(descriptor.key).toBe(key)
      expect(toView(descriptor).credential_fields.some((field) => field.secret)).toBe(true)
      expect(descriptor.guide.length).toBeGreaterThan(50)
    }
    expect(descriptorOf("toString")).toBeUndefined()
  })
  test("a credential of the wrong form is refused with a sentence that repeats no secret", () => {
    const secret = "super-secret\nvalue"
    expect(problem("powerdns", { url: "http://dns.example:8081/", api_key: "k" })).toBeUndefined()
    expect(problem("powerdns", "a string")).toContain("url")
    expect(problem("powerdns", { url: "ftp://x", api_key: "k" })).toContain("url")
    expect(problem("powerdns", { url: "https://x", api_key: secret })).not.toContain("super-secret")
    const good = { server: "ns1.example.com", tsig_name: "k", tsig_secret: "c2VjcmV0" }
    expect(problem("rfc2136", good)).toBeUndefined()
    expect(problem("rfc2136", { ...good, port: 0 })).toContain("port")
    expect(problem("rfc2136", { ...good, tsig_secret: secret })).not.toContain("super-secret")
    expect(problem("rfc2136", { ...good, algorithm: "hmac-md5" })).toContain("hmac-sha256")
    expect(problem("rfc2136", { ...good, server: "a b" })).toContain("server")
  })
})

describe("detection", () => {
  test("each provider by names as it gives them, none by strangers or by two at once", () => {
    const examples = {
      cloudflare: "ada.ns.cloudflare.com",
      route53: "ns-12.awsdns-01.co.uk",
      godaddy: "ns05.domaincontrol.com",
      hetzner: "helium.ns.hetzner.de",
      azuredns: "ns1-01.azure-dns.com"
    }
    for (const [key, name] of Object.entries(examples)) expect(detectProvider([name])?.key).toBe(key)
    expect(detectProvider(["ns1.acme.test"])).toBeUndefined()
    expect(detectProvider(["ada.ns.cloudflare.com", "ns05.domaincontrol.com"])).toBeUndefined()
    expect(detectProvider(["ada.ns.cloudflare.com.evil.test"])).toBeUndefined()
    expect(new Set(knownProviders.map((provider) => provider.key)).size).toBe(knownProviders.length)
  })
})

test("PowerDNS's text of a TXT value and back", () => {
  for (const value of ["", "plain", 'q"uo\\te', "ü und \u0007", "x".repeat(600)])
    expect(fromContent("TXT", toContent("TXT", value))).toBe(value)
  expect(toContent("TXT", "x".repeat(300)).split('" "')).toHaveLength(2)
  expect(fromContent("TXT", '"two" "strings"')).toBe("twostrings")
})
