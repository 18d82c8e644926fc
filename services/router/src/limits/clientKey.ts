/**
 * Which client an address stands for, as two 32-bit words.
 *
 * Owns: an IPv6 client is its /64, because it has as many addresses in it as it likes; an IPv4 client is its address. Leaves to
 * `tls/clientAddress.ts`: that IPv4 never comes here as mapped IPv6. The words are the address itself, no hash: two clients never share a key.
 * (::/32, in which the IPv4 keys lie, is never routed.)
 */
import { addressBytes } from "@connect-domain/egress/AddressPolicy.ts"

export interface ClientKey {
  readonly high: number
  readonly low: number
}

const word = (bytes: ArrayLike<number>, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/** What is no address (a test's name for a peer) is one client. */
export const clientKey = (address: string): ClientKey => {
  const bytes = addressBytes(address)
  if (bytes === undefined) return { high: 0, low: 0 }
  return bytes.length === 4 ? { high: 0, low: word(bytes, 0) } : { high: word(bytes, 0), low: word(bytes, 4) }
}

/** The same client as a key of a map. What has no colon is an IPv4 address, or a test's name for a peer: one as it stands. */
export const clientName = (address: string): string => {
  if (!address.includes(":")) return address
  const { high, low } = clientKey(address)
  return `${high} ${low}`
}
