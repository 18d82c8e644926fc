/**
 * The certificate with which Pebble serves its own API: an authority and a certificate for `localhost` and 127.0.0.1, made once.
 *
 * Owns: that pair of files. Leaves to Pebble: the authority that signs customers' certificates (made anew at each of its starts).
 */
import { webcrypto } from "node:crypto"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { writeWhole } from "./DevDirectory.ts"

export interface ServerCertificate {
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

const day = 86_400_000
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

/** Paths of PEM files in `folder`. */
export const serverCertificate = async (folder: string): Promise<ServerCertificate> => {
  const paths = { authority: join(folder, "authority.pem"), certificate: join(folder, "certificate.pem"), key: join(folder, "key.pem") }
  if (Object.values(paths).every((path) => existsSync(path))) return paths
  const x509 = await import("@peculiar/x509")
  const crypto = webcrypto as unknown as Crypto
  x509.cryptoProvider.set(crypto)
  const pair = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const [authorityKeys, serverKeys] = [await pair(), await pair()]
  const from = new Date(Date.now() - day)
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Connect Domain sandbox server authority",
    notBefore: from,
    notAfter: new Date(Date.now() + 3_650 * day),
    signingAlgorithm: algorithm,
    keys: authorityKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true)
    ]
  })
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: "02",
    subject: "CN=localhost",
    issuer: authority.subject,
    notBefore: from,
    notAfter: new Date(Date.now() + 3_650 * day),
    signingAlgorithm: algorithm,
    publicKey: serverKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" }
      ]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])
    ]
  })
  const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", serverKeys.privateKey)).toString("base64")
  writeWhole(paths.authority, `${authority.toString("pem")}\n`)
  writeWhole(paths.certificate, `${certificate.toString("pem")}\n`)
  writeWhole(paths.key, `-----BEGIN PRIVATE KEY-----\n${key.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`)
  return paths
}
