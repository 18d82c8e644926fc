/**
 * A fresh P-256 key and its signing request (RFC 2986) for a set of names.
 *
 * Owns: key and CSR. The key leaves as PKCS #8 PEM and is sealed by the caller at once.
 * Built against: a key living longer than one issuance.
 */
import { webcrypto } from "node:crypto"
import * as x509 from "@peculiar/x509"
import { Effect } from "effect"

export const ecdsaP256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

export interface SigningRequest {
  readonly csr: Uint8Array
  readonly keyPem: string
}

/** Names are in the SAN only: CN is deprecated, and has room for 64 bytes (CA/Browser Forum BR 7.1.4.3). */
export const makeSigningRequest = (names: ReadonlyArray<string>): Effect.Effect<SigningRequest> =>
  Effect.promise(async () => {
    const keys = await webcrypto.subtle.generateKey(ecdsaP256, true, ["sign", "verify"])
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      keys,
      signingAlgorithm: ecdsaP256,
      extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }) as const))]
    })
    const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey))
    const lines = pkcs8
      .toString("base64")
      .match(/.{1,64}/g)!
      .join("\n")
    return { csr: new Uint8Array(request.rawData), keyPem: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n` }
  })
