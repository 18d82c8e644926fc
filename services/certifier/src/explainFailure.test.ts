/** Every failure has a sentence for the customer. */
import { assert, describe, it } from "@effect/vitest"
import { Problem, RateLimited, Refused, Unavailable } from "./acme/AcmeError.ts"
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
})
