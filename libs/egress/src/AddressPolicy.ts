/**
 * Which addresses this installation may open a connection to (requirements E10, W6).
 *
 * Owns: the classification of IPv4 and IPv6 addresses, forms that carry an IPv4 address included, and the operator's allow-list.
 * Leaves to `checkedAgent.ts` and `checkedConnect.ts`: looking at the address that is really connected to.
 * Built against: a customer's origin, webhook or name server that points into our own network or at a cloud's metadata service.
 * Sources: the IANA special-purpose registries for IPv4 and IPv6 (RFC 6890 and successors).
 */
import { isIP } from "node:net"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { checked, listOf, setting } from "@connect-domain/domain/Setting.ts"
import { Config, Effect } from "effect"

export interface Network {
  readonly bytes: ReadonlyArray<number>
  readonly bits: number
}

export interface AddressPolicy {
  /** `allowed`: a public address. `opened`: only because it is on the allow-list. `denied`: never connect. */
  readonly check: (address: string, port?: number) => "allowed" | "opened" | "denied"
}

const ipv4Bytes = (text: string): ReadonlyArray<number> => text.split(".").map(Number)

/** 16 bytes of any text form of IPv6, an embedded dotted quad included; a zone index is cut off. */
const ipv6Bytes = (text: string): ReadonlyArray<number> => {
  let address = text.split("%")[0]!.toLowerCase()
  const quad = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  if (quad !== null) {
    const [a, b, c, d] = quad.slice(1).map(Number) as [number, number, number, number]
    address = `${address.slice(0, quad.index)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const [head, tail] = address.split("::") as [string, string | undefined]
  const groups = (part: string | undefined) => (part ? part.split(":").map((group) => Number.parseInt(group, 16)) : [])
  const front = groups(head)
  const back = groups(tail)
  const all = tail === undefined ? front : [...front, ...new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back]
  return all.flatMap((group) => [group >> 8, group & 255])
}

/** The bytes of an address, 4 or 16; undefined for anything that is not one in standard form. */
export const addressBytes = (address: string): ReadonlyArray<number> | undefined => {
  const family = isIP(address)
  return family === 4 ? ipv4Bytes(address) : family === 6 ? ipv6Bytes(address) : undefined
}

/** `192.0.2.0/24`, `2001:db8::/32`, or a single address. */
export const parseNetwork = (text: string): Network | undefined => {
  const [address, length] = text.trim().split("/") as [string, string | undefined]
  const bytes = addressBytes(address)
  if (bytes === undefined) return undefined
  const bits = length === undefined ? bytes.length * 8 : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  return bits >= 0 && bits <= bytes.length * 8 ? { bytes, bits } : undefined
}

const contains = (network: Network, bytes: ReadonlyArray<number>): boolean => {
  if (network.bytes.length !== bytes.length) return false
  for (let index = 0, bits = network.bits; bits > 0; index++, bits -= 8) {
    const mask = bits >= 8 ? 255 : (255 << (8 - bits)) & 255
    if (((network.bytes[index]! ^ bytes[index]!) & mask) !== 0) return false
  }
  return true
}

const networks = (...texts: ReadonlyArray<string>): ReadonlyArray<Network> => texts.map((text) => parseNetwork(text)!)

const closedIPv4 = networks(
  "0.0.0.0/8", // this network
  "10.0.0.0/8", // private
  "100.64.0.0/10", // carrier-grade NAT; Alibaba's metadata service
  "127.0.0.0/8", // loopback
  "169.254.0.0/16", // link-local; most clouds' metadata service
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocol assignments; Oracle's metadata service
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays, deprecated
  "192.168.0.0/16", // private
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, broadcast
  "168.63.129.16/32" // Azure's host service
)

const globalIPv6 = parseNetwork("2000::/3")!
const closedIPv6 = networks(
  "2001::/23", // protocol assignments: Teredo, benchmarks, ORCHID
  "2001:db8::/32", // documentation
  "3fff::/20" // documentation
)
/** Prefix and the place of the IPv4 address that such an address leads to. */
const carriers = [
  { network: parseNetwork("::ffff:0:0/96")!, at: 12 }, // mapped
  { network: parseNetwork("::ffff:0:0:0/96")!, at: 12 }, // translated, RFC 2765
  { network: parseNetwork("::/96")!, at: 12 }, // compatible, deprecated
  { network: parseNetwork("64:ff9b::/96")!, at: 12 }, // NAT64
  { network: parseNetwork("2002::/16")!, at: 2 } // 6to4
]

const isPublic = (bytes: ReadonlyArray<number>): boolean => {
  if (bytes.length === 4) return !closedIPv4.some((network) => contains(network, bytes))
  const carrier = carriers.find(({ network }) => contains(network, bytes))
  // ISATAP (RFC 5214) hides an IPv4 address behind any prefix.
  const isatap = bytes[10] === 0x5e && bytes[11] === 0xfe && (bytes[8]! & 0xfd) === 0 && bytes[9] === 0
  if (carrier !== undefined) return isPublic(bytes.slice(carrier.at, carrier.at + 4))
  if (isatap) return isPublic(bytes.slice(12))
  return contains(globalIPv6, bytes) && !closedIPv6.some((network) => contains(network, bytes))
}

/** Is the address globally reachable unicast? False for anything that is no address. Pure. */
export const isPublicAddress = (address: string): boolean => {
  const bytes = addressBytes(address)
  return bytes !== undefined && isPublic(bytes)
}

/** Is it in one of these? An IPv4 network also holds the mapped form that Node reports for dual-stack sockets. */
export const reaches = (list: ReadonlyArray<Network>, address: string): boolean => {
  const bytes = addressBytes(address)
  if (bytes === undefined) return false
  const mapped = bytes.length === 16 && contains(carriers[0]!.network, bytes) ? bytes.slice(12) : bytes
  return list.some((network) => contains(network, bytes) || contains(network, mapped))
}

/** `allow` opens networks that are not public. */
export const makeAddressPolicy = (allow: ReadonlyArray<Network>): AddressPolicy => ({
  check: (address) => (reaches(allow, address) ? "opened" : isPublicAddress(address) ? "allowed" : "denied")
})

/** `CD_NETWORK_ALLOW`: comma list of networks (CIDR) open to outgoing connections, plain http included. Default: none. */
export const NetworkAllow = Config.String("CD_NETWORK_ALLOW").pipe(Config.withDefault(""))

const readNetworks = checked("CD_NETWORK_ALLOW", Effect.map(NetworkAllow, listOf), (texts) => {
  const wrong = texts.find((text) => parseNetwork(text) === undefined)
  return wrong === undefined ? undefined : `${wrong} is not a network such as 127.0.0.0/8`
})

/** The policy of this process, from `CD_NETWORK_ALLOW`. */
export const addressPolicy: Effect.Effect<AddressPolicy, Config.ConfigError> = Effect.map(readNetworks, (texts) =>
  makeAddressPolicy(texts.map((text) => parseNetwork(text)!))
)

/** An operator may open networks of his own, but never this machine or link-local addresses, where clouds have their metadata service. */
const neverOpened = networks(
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::1/128", "::/128", "fe80::/10", "fd00:ec2::254/128"],
  ...["::ffff:127.0.0.0/104", "::ffff:169.254.0.0/112"]
)
const overlap = (one: Network, other: Network): boolean => contains(one, other.bytes) || contains(other, one.bytes)

const productionNetworks = Effect.flatMap(Mode, (mode) =>
  checked("CD_NETWORK_ALLOW", readNetworks, (texts) => {
    const opens = (text: string) => neverOpened.some((network) => overlap(network, parseNetwork(text)!))
    const wrong = mode === "production" ? texts.find(opens) : undefined
    return wrong === undefined ? undefined : `${wrong} opens loopback or link-local addresses, which production refuses`
  })
)

export const networkAllowSettings = [
  setting("CD_NETWORK_ALLOW", productionNetworks, "networks such as 10.1.0.0/16, separated by commas, or nothing")
]
