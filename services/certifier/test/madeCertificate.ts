/** Chains for tests: a root, an intermediate and a leaf of any key type, dates and names, made with Web Crypto. */
import { webcrypto } from "node:crypto"
import * as x509 from "@peculiar/x509"
import type { KeyPair } from "../src/acme/signingRequest.ts"

export const keyTypes = {
  p256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  p384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  p521: { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" },
  rsa2048: { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
  rsa1024: { name: "RSASSA-PKCS1-v1_5", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" }
} as const
type KeyType = keyof typeof keyTypes

interface Authority {
  readonly certificate: x509.X509Certificate
  readonly keys: KeyPair
  readonly algorithm: (typeof keyTypes)[KeyType]
}

const day = 86_400_000
let serial = 100
export const makeKeys = async (type: KeyType) =>
  (await webcrypto.subtle.generateKey(keyTypes[type], true, ["sign", "verify"])) as unknown as KeyPair
const pemOf = async (keys: KeyPair): Promise<string> => {
  const bytes = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey as never)
  return `-----BEGIN PRIVATE KEY-----\n${Buffer.from(bytes)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`
}

export interface LeafOptions {
  readonly names: ReadonlyArray<string>
  readonly key?: KeyType
  readonly from?: number
  readonly to?: number
  readonly usage?: string
}

/** Root and intermediate of a made-up CA, and leaves under it. */
export const makeAuthority = async (name = "Test") => {
  const sign = async (subject: string, by: Authority | undefined, ca: boolean, options: LeafOptions = { names: [] }) => {
    const type = options.key ?? "p256"
    const keys = await makeKeys(type)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (serial++).toString(16),
      subject,
      issuer: by?.certificate.subject ?? subject,
      notBefore: new Date(options.from ?? Date.now() - day),
      notAfter: new Date(options.to ?? Date.now() + 90 * day),
      publicKey: keys.publicKey,
      signingKey: by?.keys.privateKey ?? keys.privateKey,
      signingAlgorithm: by?.algorithm ?? keyTypes[type],
      extensions: [
        new x509.BasicConstraintsExtension(ca, undefined, true),
        ...(ca ? [] : [new x509.ExtendedKeyUsageExtension([options.usage ?? x509.ExtendedKeyUsage.serverAuth])]),
        ...(options.names.length === 0
          ? []
          : [new x509.SubjectAlternativeNameExtension(options.names.map((value) => ({ type: "dns", value }) as const))])
      ]
    })
    return { certificate, keys, algorithm: keyTypes[type] } satisfies Authority
  }
  const root = await sign(`CN=${name} root, O=${name} Trust`, undefined, true)
  const intermediate = await sign(`CN=${name} R1, O=${name} Trust`, root, true)
  return {
    rootPem: root.certificate.toString("pem"),
    intermediatePem: intermediate.certificate.toString("pem"),
    leaf: async (options: LeafOptions) => {
      const made = await sign(`CN=${options.names[0] ?? "none"}`, intermediate, false, options)
      return { pem: made.certificate.toString("pem"), keyPem: await pemOf(made.keys) }
    },
    selfSigned: async (options: LeafOptions) => {
      const made = await sign(`CN=${options.names[0]}`, undefined, false, options)
      return { pem: made.certificate.toString("pem"), keyPem: await pemOf(made.keys) }
    }
  }
}
