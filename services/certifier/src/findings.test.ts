/** What a wildcard is told to set, and when a name that was given up is tried again. */
import { describe, expect, it } from "vitest"
import { type DnsView, fingerprint, noChallengeView, wildcardFinding } from "./findings.ts"

const view: DnsView = {
  caa: { verdict: "none", at: null, records: [], error: null },
  target: undefined,
  challenge: noChallengeView,
  credentials: []
}

describe("D8: what a wildcard needs", () => {
  it("names the CNAME where a zone of ours is set up, the credential anyway, and what stands there instead", () => {
    const target = { ...noChallengeView, delegation_target: "abc.acme.example.net" }
    expect(wildcardFinding("*.x.example", target)).toBe(
      "A certificate for *.x.example needs a proof in the DNS: add the record _acme-challenge.x.example CNAME abc.acme.example.net, or add a credential of the domain's DNS provider to the application. We notice by ourselves."
    )
    expect(wildcardFinding("*.x.example", { ...target, cname: "other.example" })).toContain("is an alias of other.example.")
    expect(wildcardFinding("*.x.example", undefined)).not.toContain("CNAME")
  })
})

describe("A7: a name that was given up is tried again", () => {
  it("when a delegation, a lasting record or a credential has come, and not because nobody could look", () => {
    const before = fingerprint(view)
    expect(before).not.toBeNull()
    expect(fingerprint({ ...view, challenge: { ...noChallengeView, delegated: true } })).not.toBe(before)
    expect(fingerprint({ ...view, challenge: { ...noChallengeView, persist: ["ca.example; accounturi=a"] } })).not.toBe(before)
    const credential = { credential_id: "c", tenant_id: "t", provider: "p", sealed: "s" }
    expect(fingerprint({ ...view, credentials: [credential] })).not.toBe(before)
    expect(fingerprint({ ...view, challenge: undefined })).toBeNull()
    const two = (...persist: ReadonlyArray<string>) => fingerprint({ ...view, challenge: { ...noChallengeView, persist } })
    expect(two("a", "b")).toBe(two("b", "a"))
  })
})
