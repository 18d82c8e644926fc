/**
 * A certificate's entry as a record's value and back. Its key stays sealed.
 *
 * Owns: PEM to DER and back, the fields' order. Leaves to `Issuers.ts`: what the chain has in common with others. PEM comes back in one form
 * (RFC 7468: lines of 64, a line feed after each), whatever form it had; a chain that is no PEM is kept as it is.
 */
import type { CertificateEntry } from "@connect-domain/messages/buckets.ts"
import { HotCache } from "./HotCache.ts"
import { type Chain, chainOf, type Issuer, type Issuers } from "./Issuers.ts"
import { Packer, Unpacker } from "./Packer.ts"

const block = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g

const toDer = (chain: string): ReadonlyArray<Buffer> => {
  const ders: Array<Buffer> = []
  for (const [, body] of chain.matchAll(block)) ders.push(Buffer.from(body!, "base64"))
  return ders
}

const firstBlock = new RegExp(block.source)
/** The chains above leaves, by their PEM: a million certificates have a few, which are neither decoded nor hashed for each. */
const chains = new HotCache<Chain>(64)
const leafBuffer = Buffer.allocUnsafeSlow(16 * 1024)

/** The leaf in a buffer that the next call may write over. */
const parse = (pem: string): { readonly leaf: Buffer; readonly chain: Chain } | undefined => {
  const found = firstBlock.exec(pem)
  if (found === null) return undefined
  const body = found[1]!
  const leaf = body.length > leafBuffer.length ? Buffer.from(body, "base64") : leafBuffer.subarray(0, leafBuffer.write(body, "base64"))
  const rest = pem.slice(found.index + found[0].length)
  let chain = chains.get(rest)
  if (chain === undefined) {
    chain = chainOf(toDer(rest))
    chains.set(rest, chain)
  }
  return { leaf, chain }
}

const toPem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`

/** The chain in the form that the registry gives it back in. */
export const canonicalChain = (chain: string): string => {
  const ders = toDer(chain)
  return ders.length === 0 ? chain : ders.map(toPem).join("")
}

const packer = new Packer()

/** `value` in a buffer that the next call writes over; `issuer` (0: none) goes into the record's tag. */
export const packCertificate = (entry: CertificateEntry, issuers: Issuers): { readonly value: Buffer; readonly issuer: number } => {
  const { certificate_id: _, claim_id, hostnames, chain, sealed_key, serial, not_before, not_after, ...more } = entry
  packer.text(claim_id)
  packer.count(hostnames.length)
  for (const hostname of hostnames) packer.text(hostname)
  packer.sealed(sealed_key)
  for (const text of [serial, not_before, not_after]) packer.text(text)
  const moreText = JSON.stringify(more)
  packer.text(moreText === "{}" ? null : moreText)
  const parsed = parse(chain)
  const likeness = parsed && issuers.tell(parsed.leaf, parsed.chain)
  if (likeness === undefined) {
    packer.text(canonicalChain(chain))
    return { value: packer.take(), issuer: 0 }
  }
  packer.count(parsed!.leaf.length)
  packer.bytes(likeness.difference)
  return { value: packer.take(), issuer: likeness.issuer }
}

type Rest = Omit<CertificateEntry, "certificate_id" | "claim_id" | "hostnames">

/** A certificate whose names can be read at once; chain and sealed key are decoded when they are asked for. */
export class StoredCertificate implements CertificateEntry {
  readonly certificate_id: string
  readonly claim_id: string
  readonly hostnames: ReadonlyArray<string>
  private readonly rest: () => Rest

  /** `value`: a copy of the record's. */
  constructor(id: string, value: Buffer, issuer: number, issuers: Issuers) {
    const from = new Unpacker(value)
    this.certificate_id = id
    this.claim_id = from.text()!
    this.hostnames = Array.from({ length: from.count() }, () => from.text()!)
    const common = issuers.get(issuer)
    let known: Rest | undefined
    this.rest = () => {
      const rest = known ?? unpackRest(from, common)
      known = rest
      return rest
    }
  }

  get chain(): string {
    return this.rest().chain
  }
  get sealed_key(): string {
    return this.rest().sealed_key
  }
  get serial(): string {
    return this.rest().serial
  }
  get not_before(): string {
    return this.rest().not_before
  }
  get not_after(): string {
    return this.rest().not_after
  }

  /** With every field its own, those that only a newer schema knows included. */
  toEntry(): CertificateEntry {
    return { certificate_id: this.certificate_id, claim_id: this.claim_id, hostnames: this.hostnames, ...this.rest() }
  }
}

const unpackRest = (from: Unpacker, issuer: Issuer | undefined): Rest => {
  const [sealed_key, serial, not_before, not_after, more] = [from.text()!, from.text()!, from.text()!, from.text()!, from.text()]
  const fields = { sealed_key, serial, not_before, not_after, ...(more === null ? {} : JSON.parse(more)) }
  if (issuer === undefined) return { ...fields, chain: from.text()! }
  const length = from.count()
  const leaf = issuer.reference.decode(from.bytes(), length)
  return { ...fields, chain: [leaf, ...issuer.above].map(toPem).join("") }
}
