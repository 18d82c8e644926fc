/** What is learned from a CA's authorization, and what is not. */
import { describe, expect, it } from "vitest"
import type { Authorization } from "../acme/orders.ts"
import { readOffers } from "./readOffers.ts"

const account = { kid: "https://ca.example/acct/1", key: { thumbprint: "thumb" } as never }
const challenge = (type: string, more: object = {}) => ({ type, url: `https://ca.example/${type}`, status: "pending" as const, ...more })
const authorization = (challenges: Authorization["challenges"], more: Partial<Authorization> = {}): Authorization => ({
  identifier: { type: "dns", value: "a.example" },
  status: "pending",
  challenges,
  ...more
})
const lasting = (names: ReadonlyArray<string>) => challenge("dns-persist-01", { issuerDomainNames: names })

describe("what a CA offers", () => {
  it("reads challenges, the CA's names in either spelling, and the form of the account", () => {
    const seen = authorization([challenge("http-01"), lasting(["ca.example", "a.ca.example"])])
    expect(readOffers(undefined, seen, { accountHashPrefix: "https://ca.example/h/" }, account)).toEqual({
      methods: ["dns-persist-01", "http-01"],
      issuers: ["a.ca.example", "ca.example"],
      accountUri: account.kid,
      hashPrefix: "https://ca.example/h/",
      thumbprints: ["thumb"]
    })
    const older = authorization([challenge("dns-persist-01", { "issuer-domain-names": ["ca.example"] })])
    expect(readOffers(undefined, older, undefined, account)).toMatchObject({ issuers: ["ca.example"], hashPrefix: null })
  })

  it.each([
    ["no names", []],
    ["eleven", Array.from({ length: 11 }, (_, i) => `ca${i}.example`)],
    ["an upper-case one", ["CA.example"]],
    ["one with a dot at the end", ["ca.example."]]
  ])("a lasting challenge with %s is malformed and counts as not offered", (_, names) => {
    expect(readOffers(undefined, authorization([challenge("dns-01"), lasting(names)]), undefined, account)).toMatchObject({
      methods: ["dns-01"],
      issuers: []
    })
  })

  it("a wildcard's authorization says nothing about what edges answer", () => {
    const wild = authorization([challenge("dns-01")], { wildcard: true })
    expect(readOffers(undefined, wild, undefined, account)?.methods).toEqual(["dns-01", "http-01", "tls-alpn-01"])
    const before = readOffers(undefined, authorization([challenge("http-01"), challenge("dns-01")]), undefined, account)
    expect(readOffers(before, wild, undefined, account)?.methods).toEqual(["dns-01", "http-01"])
  })

  it("one that is settled or answered shows less than is offered, so it says nothing", () => {
    expect(readOffers(undefined, authorization([challenge("http-01")], { status: "valid" }), undefined, account)).toBeUndefined()
    const answered = authorization([{ ...challenge("http-01"), status: "processing" }])
    expect(readOffers(undefined, answered, undefined, account)).toBeUndefined()
  })
})
