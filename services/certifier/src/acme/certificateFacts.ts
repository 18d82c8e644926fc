/**
 * What a chain says about itself: names, dates, serial, issuer, CertID.
 *
 * Owns: reading and checking a chain as the CA handed it out. Built against: storing a certificate that is not for our names or not for our key.
 */
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as x509 from "@peculiar/x509"
import { certIdOf } from "./renewalInfo.ts"

export interface CertificateFacts {
  readonly names: ReadonlyArray<string>
  readonly notBefore: Date
  readonly notAfter: Date
  /** Lower-case hex without separators. */
  readonly serial: string
  readonly issuer: string
  /** SHA-256 of the last certificate of the chain as sent (the one nearest the root), lower-case hex. */
  readonly topFingerprint: string
  /** Undefined when the leaf has no authority key identifier: then ARI can't name it. */
  readonly certId: string | undefined
}

const pemBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** The certificates of a PEM bundle, in order. */
export const splitChain = (pem: string): ReadonlyArray<string> => pem.match(pemBlock) ?? []

const hex = (text: string): string => text.replaceAll(":", "").toLowerCase()

/** Throws on a chain without a readable leaf. */
export const readCertificateFacts = (chain: string): CertificateFacts => {
  const parts = splitChain(chain)
  const leafPem = parts[0]
  if (leafPem === undefined) throw new Error("the chain holds no certificate")
  const leaf = new X509Certificate(leafPem)
  const top = new X509Certificate(parts.at(-1)!)
  const parsed = new x509.X509Certificate(leafPem)
  const keyId = parsed.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId
  const serial = hex(leaf.serialNumber)
  const names = [...(leaf.subjectAltName ?? "").matchAll(/DNS:([^,\s]+)/g)].map((match) => match[1]!.toLowerCase())
  return {
    names,
    notBefore: new Date(leaf.validFrom),
    notAfter: new Date(leaf.validTo),
    serial,
    issuer: leaf.issuer.replaceAll("\n", ", "),
    topFingerprint: hex(top.fingerprint256),
    certId: keyId === undefined ? undefined : certIdOf(keyId, serial)
  }
}

/** Why this chain must not be stored for these names and this key; undefined when it may. */
export const mismatchOf = (chain: string, facts: CertificateFacts, names: ReadonlyArray<string>, keyPem: string): string | undefined => {
  const missing = names.filter((name) => !facts.names.includes(name))
  if (missing.length > 0) return `the certificate lacks ${missing.join(", ")}`
  if (!new X509Certificate(chain).checkPrivateKey(createPrivateKey(keyPem))) return "the certificate is not for the key we sent"
  return undefined
}
