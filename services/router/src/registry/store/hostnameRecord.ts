/**
 * A hostname's entry as a record's value and back.
 *
 * Owns: the fields' order, and the hash under which a certificate finds its names. A field that the schema gains later is kept as JSON until it gets
 * a place here.
 */
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { Packer, Unpacker } from "./Packer.ts"

/** Tags of the records, so that counting the held needs no decoding. */
export const releasedTag = 0
export const heldTag = 1

const packer = new Packer()

/** In a buffer that the next call writes over. */
export const packHostname = (entry: HostnameEntry): Buffer => {
  const { hostname: _, status, connection_id, tenant_id, application_id, claim_id, environment, ...rest } = entry
  const { origin, certificate_id, flags, version, ...more } = rest
  packer.count(status === "held" ? 1 : 0)
  for (const text of [connection_id, tenant_id, application_id, claim_id, environment, origin, certificate_id]) packer.text(text)
  const flagsText = JSON.stringify(flags)
  packer.text(flagsText === "{}" ? null : flagsText)
  packer.count(version)
  const moreText = JSON.stringify(more)
  packer.text(moreText === "{}" ? null : moreText)
  return packer.take()
}

export const unpackHostname = (hostname: string, value: Buffer): HostnameEntry => {
  const from = new Unpacker(value)
  const status = from.count() === 1 ? "held" : "released"
  const [connection_id, tenant_id, application_id, claim_id] = [from.text()!, from.text()!, from.text()!, from.text()!]
  const environment = from.text() as HostnameEntry["environment"]
  const [origin, certificate_id, flags] = [from.text(), from.text(), from.text()]
  const version = from.count()
  const more = from.text()
  return {
    ...{ hostname, status, connection_id, tenant_id, application_id, claim_id, environment, origin, certificate_id },
    flags: flags === null ? {} : JSON.parse(flags),
    version,
    ...(more === null ? {} : JSON.parse(more))
  }
}

/** FNV-1a; both ids are made by us, so nobody chooses any that collide. */
const hashBytes = (bytes: Buffer, start: number, end: number, seed = 0x811c_9dc5): number => {
  let hash = seed
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193)
  return hash >>> 0
}

/** Of the claim and the certificate that the record of a held name names; -1: it is not served with any. */
export const certificateHash = (value: Buffer): number => {
  const from = new Unpacker(value)
  if (from.count() !== 1) return -1
  for (let field = 0; field < 2; field++) from.passOver()
  const claim = from.passOver()
  const claimEnd = from.passOver()
  from.passOver()
  const id = from.passOver()
  const end = from.passOver()
  return end === id + 1 ? -1 : hashBytes(value, id, end, hashBytes(value, claim, claimEnd))
}

export const hashOfCertificate = (claimId: string, certificateId: string): number => {
  packer.text(claimId)
  packer.text(certificateId)
  const packed = packer.take()
  return hashBytes(packed, 0, packed.length)
}
