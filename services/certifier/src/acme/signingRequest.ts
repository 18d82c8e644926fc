/**
 * A fresh P-256 key and its signing request (RFC 2986) for a set of names.
 *
 * Owns: key and CSR. The key leaves as PKCS #8 PEM and is sealed by the caller at once.
 * Built against: a key living longer than one issuance.
 */
import { createPrivateKey, webcrypto } from "node:crypto"
import * as x509 from "@peculiar/x509"
import { Effect } from "effect"
import { generateKeyPem } from "./jws.ts"

export const ecdsaP256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

/** A new certificate key, PKCS #8 PEM. */
export const makeKey: Effect.Effect<string> = Effect.sync(generateKeyPem)

/** Web Crypto's key pair as @peculiar/x509 names it. */
export type KeyPair = Parameters<typeof x509.Pkcs10CertificateRequestGenerator.create>[0]["keys"]

/** The pair as Web Crypto wants it. */
export const importKeyPair = async (keyPem: string): Promise<KeyPair> => {
  const key = createPrivateKey(keyPem)
  const jwk = key.export({ format: "jwk" })
  const { d: _, ...publicJwk } = jwk
  const [privateKey, publicKey] = await Promise.all([
    webcrypto.subtle.importKey("pkcs8", key.export({ type: "pkcs8", format: "der" }), ecdsaP256, false, ["sign"]),
    webcrypto.subtle.importKey("jwk", publicJwk, ecdsaP256, true, ["verify"])
  ])
  return { privateKey, publicKey } as unknown as KeyPair
}

/** DER. Names are in the SAN only: CN is deprecated, and has room for 64 bytes (CA/Browser Forum BR 7.1.4.3). */
export const makeSigningRequest = (names: ReadonlyArray<string>, keyPem: string): Effect.Effect<Uint8Array> =>
  Effect.promise(async () => {
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      keys: await importKeyPair(keyPem),
      signingAlgorithm: ecdsaP256,
      extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }) as const))]
    })
    return new Uint8Array(request.rawData)
  })
