/**
 * The certificate that answers a TLS-ALPN-01 challenge (RFC 8737 §3): self-signed, for one name, with the key authorization's hash inside.
 *
 * Owns: making it with a P-256 key of its own. Leaves building it to `acme-client`, which is loaded when the first one is wanted: with all
 * that it brings it takes 150 ms and 30 MiB.
 */
import { Effect } from "effect"
import { makeKey } from "../acme/signingRequest.ts"

/** Both PEM. */
export const makeAlpnCertificate = Effect.fnUntraced(function* (hostname: string, keyAuthorization: string) {
  const keyPem = yield* makeKey
  const certificate = yield* Effect.promise(async () => {
    const { default: acme } = await import("acme-client")
    // Only the identifier of the authorization is looked at.
    const authorization = { identifier: { type: "dns", value: hostname } } as Parameters<typeof acme.crypto.createAlpnCertificate>[0]
    const [, pem] = await acme.crypto.createAlpnCertificate(authorization, keyAuthorization, keyPem)
    return pem.toString()
  })
  return { certificate, keyPem }
})
