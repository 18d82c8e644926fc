/**
 * Whether a caller's own certificate can be served for a name, and in which order its chain must stand: pure.
 *
 * Owns: every rule about an uploaded certificate and key, and the words for whoever uploaded them. Leaves to `Imports.ts`: keeping it.
 * Built against: an edge that serves what browsers refuse (an intermediate missing or misplaced, a name not covered, a feeble key), found
 * out by the customer's visitors.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { rootCertificates } from "node:tls"
import { isWildcard } from "@connect-domain/domain/Hostname.ts"
import { Result } from "effect"
import { type CertificateFacts, readCertificateFacts, splitChain } from "../acme/certificateFacts.ts"

export interface Upload {
  /** PEM, in any order, with or without the root. */
  readonly certificate: string
  readonly privateKey: string
}

export interface Checked {
  /** PEM, leaf first, without the root. */
  readonly chain: string
  /** PKCS #8 PEM. */
  readonly keyPem: string
  readonly facts: CertificateFacts
}

export interface Wrong {
  readonly field: "certificate" | "private_key"
  readonly message: string
}

const longest = 65_536
const mostCertificates = 10
/** Clocks differ. */
const clockSkewMillis = 300_000

const wrongCertificate = (message: string): Wrong => ({ field: "certificate", message })
const wrongKey = (message: string): Wrong => ({ field: "private_key", message })

/** Never throws. The steps inside throw `Wrong`, so that they read in a row. */
export const checkImported = (upload: Upload, hostname: string, now: Date): Result.Result<Checked, Wrong> => {
  try {
    const key = readKey(upload.privateKey)
    const parts = readCertificates(upload.certificate)
    const leaf = leafFor(key, parts)
    checkLeaf(leaf, hostname, now)
    const chain = chainFrom(leaf, parts, now)
    const pem = chain.map((each) => each.toString().trim()).join("\n")
    const keyPem = key.export({ type: "pkcs8", format: "pem" }).toString()
    return Result.succeed({ chain: `${pem}\n`, keyPem, facts: readCertificateFacts(pem) })
  } catch (error) {
    if (isWrong(error)) return Result.fail(error)
    return Result.fail(wrongCertificate("can't be read as X.509"))
  }
}

const isWrong = (error: unknown): error is Wrong => typeof error === "object" && error !== null && "field" in error && "message" in error

const readKey = (text: string): KeyObject => {
  if (text.length > longest) throw wrongKey("is too long")
  if (/ENCRYPTED/.test(text)) throw wrongKey("is encrypted: upload it decrypted (openssl pkey -in key.pem -out plain.pem)")
  const blocks = text.match(/-----BEGIN (?:EC |RSA )?PRIVATE KEY-----[\s\S]+?-----END (?:EC |RSA )?PRIVATE KEY-----/g) ?? []
  if (blocks.length !== 1)
    throw wrongKey(blocks.length === 0 ? "holds no PEM private key (-----BEGIN PRIVATE KEY-----)" : "holds more than one private key")
  let key: KeyObject
  try {
    key = createPrivateKey(blocks[0]!)
  } catch {
    throw wrongKey("can't be read: it is cut off or altered")
  }
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === "ec" && (namedCurve === "prime256v1" || namedCurve === "secp384r1")) return key
  if (key.asymmetricKeyType === "rsa" && modulusLength >= 2048 && modulusLength <= 8192) return key
  throw wrongKey("is of a kind that browsers don't take; use EC P-256, EC P-384 or RSA with 2048 to 8192 bits")
}

const readCertificates = (text: string): ReadonlyArray<X509Certificate> => {
  if (text.length > longest) throw wrongCertificate("is too long")
  if (/PRIVATE KEY/.test(text)) throw wrongCertificate("holds a private key; that belongs into private_key alone")
  const blocks = splitChain(text)
  if (blocks.length === 0) throw wrongCertificate("holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
  if (blocks.length > mostCertificates) throw wrongCertificate(`holds more than ${mostCertificates} certificates`)
  const parts = blocks.map((block, index) => {
    try {
      return new X509Certificate(block)
    } catch {
      throw wrongCertificate(`number ${index + 1} can't be read: it is cut off or altered`)
    }
  })
  return [...new Map(parts.map((part) => [part.fingerprint256, part])).values()]
}

const leafFor = (key: KeyObject, parts: ReadonlyArray<X509Certificate>): X509Certificate => {
  const leaf = parts.find((part) => part.checkPrivateKey(key))
  if (leaf !== undefined) return leaf
  throw wrongKey("belongs to none of the certificates: upload the key that the signing request was made with")
}

const serverAuth = "1.3.6.1.5.5.7.3.1"
const nameOf = ({ subject }: X509Certificate): string => subject?.replaceAll("\n", ", ") || "without a subject"
const isSelfSigned = (part: X509Certificate): boolean => issued(part, part)

const covers = (leaf: X509Certificate, hostname: string): boolean => {
  const names = [...(leaf.subjectAltName ?? "").matchAll(/DNS:([^,\s]+)/g)].map((match) => match[1]!.toLowerCase())
  // A wildcard covers one label (RFC 6125 §6.4.3), and another wildcard only when it is the same.
  return names.includes(hostname) || (!isWildcard(hostname) && names.includes(`*.${hostname.split(".").slice(1).join(".")}`))
}

const checkLeaf = (leaf: X509Certificate, hostname: string, now: Date): void => {
  if (leaf.ca) throw wrongCertificate("and private_key are those of a certificate authority; upload the server's own")
  if (!covers(leaf, hostname)) {
    const names = leaf.subjectAltName?.replaceAll("DNS:", "").slice(0, 200) ?? "no name at all"
    throw wrongCertificate(`does not cover ${hostname} (it is for ${names})`)
  }
  checkDates(leaf, "", now)
  // Node calls it keyUsage, but it holds the extended ones.
  if (leaf.keyUsage !== undefined && leaf.keyUsage.length > 0 && !leaf.keyUsage.includes(serverAuth))
    throw wrongCertificate("is not for servers (it lacks the extended key usage serverAuth)")
  if (isSelfSigned(leaf)) throw wrongCertificate("is self-signed; visitors' browsers would refuse it")
}

const checkDates = (part: X509Certificate, which: string, now: Date): void => {
  const [from, to] = [Date.parse(part.validFrom), Date.parse(part.validTo)]
  if (to <= now.getTime()) throw wrongCertificate(`${which}ended on ${new Date(to).toISOString()}`)
  if (from > now.getTime() + clockSkewMillis) throw wrongCertificate(`${which}is not valid before ${new Date(from).toISOString()}`)
}

const issued = (issuer: X509Certificate, subject: X509Certificate): boolean =>
  subject.checkIssued(issuer) && subject.verify(issuer.publicKey)

let roots: ReadonlyArray<X509Certificate> | undefined
const isPublicRootsOwn = (part: X509Certificate): boolean => {
  roots ??= rootCertificates.map((pem) => new X509Certificate(pem))
  return roots.some((root) => issued(root, part))
}

/** From the leaf up, whatever the order was; the root is left out, and nothing may be left over. */
const chainFrom = (leaf: X509Certificate, parts: ReadonlyArray<X509Certificate>, now: Date): ReadonlyArray<X509Certificate> => {
  const chain = [leaf]
  const rest = new Set(parts)
  rest.delete(leaf)
  let root: X509Certificate | undefined
  for (let last = leaf; root === undefined; ) {
    const issuer = [...rest].find((part) => issued(part, last))
    if (issuer === undefined) break
    rest.delete(issuer)
    if (isSelfSigned(issuer)) root = issuer
    else {
      if (!issuer.ca) throw wrongCertificate(`holds an issuer that is no certificate authority (${nameOf(issuer)})`)
      checkDates(issuer, `holds an intermediate (${nameOf(issuer)}) that `, now)
      chain.push(issuer)
      last = issuer
    }
  }
  const [stray] = rest
  if (stray !== undefined)
    throw wrongCertificate(`holds one that belongs to no chain of this key (${nameOf(stray)}), or the one between is missing`)
  if (chain.length === 1 && root === undefined && !isPublicRootsOwn(leaf))
    throw wrongCertificate(`lacks the intermediate that signed it (${leaf.issuer.replaceAll("\n", ", ")}): upload the full chain`)
  return chain
}
