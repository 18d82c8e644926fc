/** Every failure has a sentence for the customer. */
import { assert, describe, it } from "@effect/vitest"
import { NotPlaced, Problem, RateLimited, Refused, Unavailable } from "./acme/AcmeError.ts"
import { explainFailure } from "./explainFailure.ts"

const refused = (type: string) => new Refused({ problem: new Problem({ type, detail: "the CA's own words", status: 403 }) })

describe("explainFailure", () => {
  it("names the hostname and keeps the CA's words", () => {
    for (const type of ["connection", "dns", "unauthorized", "incorrectResponse", "tls", "rejectedIdentifier", "neverHeardOf"]) {
      const text = explainFailure("shop.example.com", refused(type))
      assert.include(text, "shop.example.com")
      assert.include(text, "the CA's own words")
      assert.notInclude(text, "urn:")
    }
  })
  it("says who has to act", () => {
    assert.include(explainFailure("a.test", refused("caa")), "Add a CAA record")
    assert.include(explainFailure("a.test", new RateLimited({ detail: "x", scope: "name" })), "nothing to do")
    assert.include(explainFailure("a.test", new Unavailable({ detail: "x" })), "nothing to do")
  })
  it("speaks of the challenge that failed, unless the CA refuses the name itself", () => {
    const by = (challenge: string, type: string) => explainFailure("a.test", new Refused({ ...refused(type), challenge }))
    assert.include(by("http-01", "connection"), "blocks port 80")
    assert.include(by("tls-alpn-01", "connection"), "blocks port 443")
    assert.include(by("dns-01", "unauthorized"), "did not see our TXT record for a.test")
    assert.include(by("dns-persist-01", "unauthorized"), "_validation-persist TXT record of a.test")
    assert.include(by("dns-01", "caa"), "Add a CAA record")
    assert.include(explainFailure("a.test", new NotPlaced({ detail: "give the token that right" })), "give the token that right")
  })
})
