/**
 * The PROXY header that an origin gets in front of a connection (haproxy's proxy-protocol.txt, 2020/03/05, §2.1 and §2.2).
 *
 * Owns: the bytes. Leaves to `OriginPool.ts`: that such a connection serves one exchange and no other. The port is 0 where it is not known: behind
 * a balancer of our own only the address is passed on.
 */
import { isIPv4 } from "node:net"
import { addressBytes } from "@connect-domain/egress/AddressPolicy.ts"
import { canonicalAddress } from "../tls/clientAddress.ts"

/** What is asked of a client's socket. */
export interface Ends {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")
/** Undefined for what is no address. No preface has a place for a zone. */
const plain = (address = ""): string | undefined => canonicalAddress(address.split("%")[0]!)
const bytesOf = (address: string): Buffer => Buffer.from(addressBytes(address)!)
/** Beside an IPv6 address. In hexadecimal: a reader of version 1 need not know dots in a TCP6 line. */
const mapped = (address: string): string =>
  isIPv4(address) ? `::ffff:${bytesOf(address).toString("hex").replace(/.{4}/, "$&:")}` : address

const portBytes = (...ports: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(ports.length * 2)
  for (const [at, port] of ports.entries()) bytes.writeUInt16BE(port, at * 2)
  return bytes
}

const binary = (family: number, body: Buffer): Buffer =>
  Buffer.concat([signature, Buffer.from([0x21, family]), portBytes(body.length), body])

/** `address`: the client's, as the edge believes it; `ends`: of the socket that it came on. */
export const proxyPreface = (version: "v1" | "v2", address: string, ends: Ends | undefined): Buffer => {
  const source = plain(address)
  if (source === undefined) return version === "v1" ? Buffer.from("PROXY UNKNOWN\r\n") : binary(0, Buffer.alloc(0))
  const target = plain(ends?.localAddress) ?? (isIPv4(source) ? "0.0.0.0" : "::")
  const [sourcePort, targetPort] = [plain(ends?.remoteAddress) === source ? (ends?.remotePort ?? 0) : 0, ends?.localPort ?? 0]
  const four = isIPv4(source) && isIPv4(target)
  const [from, to] = four ? [source, target] : [mapped(source), mapped(target)]
  if (version === "v1") return Buffer.from(`PROXY ${four ? "TCP4" : "TCP6"} ${from} ${to} ${sourcePort} ${targetPort}\r\n`, "latin1")
  return binary(four ? 0x11 : 0x21, Buffer.concat([bytesOf(from), bytesOf(to), portBytes(sourcePort, targetPort)]))
}
