/**
 * Hostnames by the million and what they hold, for `registry.ts` and `resync.ts`.
 *
 * Each has a leaf of its own of about 1 KiB, made to the measure of a public CA's (what is unique in one is random here), a key that is sealed by
 * itself, and ids of its own; all share an intermediate. `realName` has a real certificate, so that a handshake can prove that it is served.
 */
import { randomBytes } from "node:crypto"
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import { idOf } from "@connect-domain/router/testing/entries.ts"
import { certificateEntry, makeAuthority, testVault } from "@connect-domain/router/testing/TestEdge.ts"

export const hostOf = (at: number) => `shop-${at}.customer${at % 1000}.example.com`
export const realName = "real.example.org"
export const realIds = { certificate_id: "real", claim_id: "real" }

/** What all leaves of an issuer share, and how long the runs are in which each differs: serial, key, key id, two SCTs, signature. */
const common = [90, 110, 140, 120, 60, 50].map((length) => randomBytes(length))
const own = [18, 65, 20, 80, 80, 71]
const leafOf = (hostname: string) => {
  const name = Buffer.from(hostname)
  return Buffer.concat([...common.flatMap((bytes, at) => [bytes, randomBytes(own[at]!)]), name, name])
}
const pem = (der: Buffer) => `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`

/** The real certificate, and each other one by its number. */
export const makeCertificates = async () => {
  const authority = await makeAuthority()
  const { key } = await authority.issue(["any.example.org"])
  const certificateOf = (at: number): CertificateEntry => {
    const id = idOf(5, at)
    const place = { tenant: idOf(4, at), table: "certificates", column: "key", row: id }
    return {
      ...{ certificate_id: id, claim_id: idOf(4, at), hostnames: [hostOf(at)], chain: pem(leafOf(hostOf(at))) + authority.pem },
      ...{ sealed_key: testVault.seal(key, place), serial: randomBytes(18).toString("hex") },
      ...{ not_before: "2026-11-01T00:00:00.000Z", not_after: "2027-01-30T00:00:00.000Z" }
    }
  }
  return { real: await certificateEntry(authority, [realName], realIds), certificateOf }
}
