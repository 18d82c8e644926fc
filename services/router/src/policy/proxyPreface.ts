/**
 * The PROXY header that an origin gets in front of a connection (haproxy's proxy-protocol.txt, 2020/03/05, §2.1 and §2.2).
 *
 * Owns: the bytes. Leaves to `OriginPool.ts`: that such a connection serves one exchange and no other. The port is 0 where it is not known: behind
 * a balancer of our own only the address is passed on.
 */
import { isIPv4, isIPv6 } from "node:net"

/** What is asked of a client's socket. */
export interface Ends {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")
const mapped = (address: string): string => (isIPv4(address) ? `::ffff:${address}` : address)
const plain = (address: string): string => {
  const bare = address.split("%")[0]!
  return bare.startsWith("::ffff:") && bare.includes(".") ? bare.slice(7) : bare
}

/** The 16 bytes of an IPv6 address in any of its forms. */
const bytesOf = (address: string): Buffer => {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const hex = (high: string, low: string) => ((Number(high) << 8) | Number(low)).toString(16)
  const text = dotted === null ? address : `${dotted[1]}${hex(dotted[2]!, dotted[3]!)}:${hex(dotted[4]!, dotted[5]!)}`
  const [head = "", tail] = text.split("::")
  const groups = (part: string) => (part === "" ? [] : part.split(":"))
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array.from({ length: zeros }, () => "0"), ...groups(tail ?? "")]
  const bytes = Buffer.alloc(16)
  for (const [at, group] of all.slice(0, 8).entries()) bytes.writeUInt16BE(Number.parseInt(group, 16) || 0, at * 2)
  return bytes
}

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
  const local = plain(ends?.localAddress ?? "")
  if (!isIPv4(source) && !isIPv6(source)) return version === "v1" ? Buffer.from("PROXY UNKNOWN\r\n") : binary(0, Buffer.alloc(0))
  const target = isIPv4(local) || isIPv6(local) ? local : isIPv4(source) ? "0.0.0.0" : "::"
  const direct = plain(ends?.remoteAddress ?? "") === source
  const [sourcePort, targetPort] = [direct ? (ends?.remotePort ?? 0) : 0, ends?.localPort ?? 0]
  const four = isIPv4(source) && isIPv4(target)
  if (version === "v1") {
    const [from, to] = four ? [source, target] : [mapped(source), mapped(target)]
    return Buffer.from(`PROXY ${four ? "TCP4" : "TCP6"} ${from} ${to} ${sourcePort} ${targetPort}\r\n`, "latin1")
  }
  const ports = portBytes(sourcePort, targetPort)
  return four
    ? binary(0x11, Buffer.concat([Buffer.from([...source.split("."), ...target.split(".")].map(Number)), ports]))
    : binary(0x21, Buffer.concat([bytesOf(mapped(source)), bytesOf(mapped(target)), ports]))
}
