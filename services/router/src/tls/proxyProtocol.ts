/**
 * The PROXY protocol, versions 1 and 2, as receiver (requirement E7; haproxy's proxy-protocol.txt, 2020/03/05).
 *
 * Owns: reading the header that a trusted balancer puts before the client's bytes. Leaves to `readProxied.ts`: from whom it is believed; to
 * `clientAddress.ts`: the form of an address. A balancer that listens on both families writes IPv4 as mapped IPv6, dotted (haproxy) or not.
 * Built against: a client that writes such a header itself, a truncated or oversize one, and a guess: where it is required, nothing else is served.
 */
import { isIPv4, isIPv6 } from "node:net"
import { canonicalAddress } from "./clientAddress.ts"

export interface ProxyHeader {
  /** The client's address; "" for LOCAL and UNKNOWN: the balancer's own health check. */
  readonly address: string
  /** Bytes that the header took. */
  readonly length: number
}

/** §2.1: a version 1 line has at most 107 bytes. */
const maxLine = 107
const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")
/** Beyond the addresses stand TLVs; a sender has no use for more than this. */
const maxBinary = 4096

const line = /^PROXY (?:UNKNOWN(?: .*)?|(TCP4|TCP6) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (\d{1,5}) (\d{1,5}))$/

const readLine = (bytes: Buffer): ProxyHeader | "more" | "bad" => {
  const end = bytes.subarray(0, maxLine).indexOf("\r\n")
  if (end < 0) return bytes.length >= maxLine ? "bad" : "more"
  const parts = line.exec(bytes.toString("latin1", 0, end))
  if (parts === null) return "bad"
  const [, family, source, target, sourcePort, targetPort] = parts
  if (family === undefined) return { address: "", length: end + 2 }
  const isOf = family === "TCP4" ? isIPv4 : isIPv6
  if (!isOf(source!) || !isOf(target!) || Number(sourcePort) > 65_535 || Number(targetPort) > 65_535) return "bad"
  return { address: canonicalAddress(source!)!, length: end + 2 }
}

const ipv6Text = (bytes: Buffer): string => canonicalAddress(bytes.toString("hex").replace(/.{4}(?!$)/g, "$&:"))!

const readBinary = (bytes: Buffer): ProxyHeader | "more" | "bad" => {
  if (bytes.length < 16) return "more"
  const length = bytes.readUInt16BE(14)
  const command = bytes[12]! & 15
  if (bytes[12]! >> 4 !== 2 || command > 1 || length > maxBinary) return "bad"
  if (bytes.length < 16 + length) return "more"
  if (command === 0) return { address: "", length: 16 + length }
  const family = bytes[13]!
  if (family === 0x11 && length >= 12) return { address: [...bytes.subarray(16, 20)].join("."), length: 16 + length }
  if (family === 0x21 && length >= 36) return { address: ipv6Text(bytes.subarray(16, 32)), length: 16 + length }
  return family === 0 ? { address: "", length: 16 + length } : "bad" // only TCP comes in here
}

/** `more`: not complete yet. `bad`: not such a header; the connection is closed. */
export const readProxyHeader = (bytes: Buffer): ProxyHeader | "more" | "bad" => {
  const known = Math.min(bytes.length, signature.length)
  if (bytes.compare(signature, 0, known, 0, known) === 0) return known < signature.length ? "more" : readBinary(bytes)
  const word = Math.min(bytes.length, 6)
  return bytes.toString("latin1", 0, word) === "PROXY ".slice(0, word) ? readLine(bytes) : "bad"
}
