/** What callers see of a certificate. */
import { expect, it } from "vitest"
import type { Certificate } from "./Certificates.ts"
import { mirror } from "./Notices.ts"

const certificate: Certificate = {
  ...{ id: "1", claim_id: "2", state: "current", names: ["a.example"], environment: "live", chain: "", key_sealed: null, serial: "0a" },
  ...{ not_before: new Date(0), not_after: new Date(1), ca: "ca", directory: "d", account: null, issuer: "i", top_fingerprint: "f" },
  ...{ cert_id: null, challenge: "http-01", validated_at: null, profile: null }
}
const revoked = { ...certificate, revoked_at: new Date(2) }

it("A9: a served certificate that is revoked is shown as such, whatever is tried meanwhile", () => {
  for (const status of ["issued", "renewing", "failed"] as const) {
    expect(mirror(revoked, status)).toMatchObject({ status: "revoked", serial: "0a" })
    expect(mirror({ ...certificate, revoked_at: null }, status).status).toBe(status)
    expect(mirror(certificate, status).status).toBe(status)
  }
  expect(mirror(undefined, "failed").status).toBe("failed")
})
