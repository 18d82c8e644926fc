/**
 * The one form in which an address goes through the edge: limits, logs and `X-Forwarded-For` know a client by it.
 *
 * Owns: an IPv4 address is dotted and bare, in whatever form of IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) it came; an IPv6 address is as in RFC 5952.
 * Built against: one client under two names, because a dual-stack socket or balancer stands in front.
 */
import { isIPv4, isIPv6, SocketAddress } from "node:net"

/** Of an address as libuv writes it, which is RFC 5952 already. */
export const unmapped = (address: string): string => (address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address)

/** Of an address in any form; undefined for what is none. */
export const canonicalAddress = (address: string): string | undefined => {
  if (isIPv4(address)) return address
  return isIPv6(address) ? unmapped(new SocketAddress({ address, family: "ipv6" }).address) : undefined
}
