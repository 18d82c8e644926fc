/**
 * Where authoritative questions go.
 *
 * Owns: the settings of this library. Leaves their use to `Authorities`.
 */
import { isIP } from "node:net"
import { Mode } from "@connect-domain/domain/Mode.ts"
import { checked, listOf, setting } from "@connect-domain/domain/Setting.ts"
import { type AddressPolicy, addressPolicy } from "@connect-domain/egress/AddressPolicy.ts"
import { Config, Effect } from "effect"
import type { NameServer } from "./Authorities.ts"
import type { Peer } from "./udpExchange.ts"

export type DnsSettings = {
  /** Asked in the place of every authoritative server, whatever its name, address or port. */
  readonly override: Peer | undefined
  readonly roots: ReadonlyArray<NameServer>
  /** A resolver that validates DNSSEC; without one nothing is validated. */
  readonly validator: Peer | undefined
  /** Where a name server's address is reached: itself at port 53, but in tests. */
  readonly route: (address: string) => Peer
  /** Which addresses of name servers may be sent to. */
  readonly policy: AddressPolicy
}

/** `CD_DNS_AUTHORITY_OVERRIDE`: `ip:port` (IPv6 in brackets) that gets every authoritative question. Default: none; servers are found from the root. */
export const AuthorityOverride = Config.String("CD_DNS_AUTHORITY_OVERRIDE").pipe(Config.withDefault(""))
/** `CD_DNS_ROOTS`: comma list of addresses where the walk begins, for a network with a root of its own. Default: the internet's root servers. */
export const Roots = Config.String("CD_DNS_ROOTS").pipe(Config.withDefault(""))

/** `CD_DNS_VALIDATING_RESOLVER`: `ip:port` of a resolver that validates DNSSEC (Unbound, Knot Resolver), asked before an ownership TXT is believed. Default: none. */
export const ValidatingResolver = Config.String("CD_DNS_VALIDATING_RESOLVER").pipe(Config.withDefault(""))

/** Addresses of a.root-servers.net to m.root-servers.net, IPv4 (IANA named.root, 2024-08). */
const internetRoots: ReadonlyArray<NameServer> = [
  ["a", "198.41.0.4"],
  ["b", "170.247.170.2"],
  ["c", "192.33.4.12"],
  ["d", "199.7.91.13"],
  ["e", "192.203.230.10"],
  ["f", "192.5.5.241"],
  ["g", "192.112.36.4"],
  ["h", "198.97.190.53"],
  ["i", "192.36.148.17"],
  ["j", "192.58.128.30"],
  ["k", "193.0.14.129"],
  ["l", "199.7.83.42"],
  ["m", "202.12.27.33"]
].map(([letter, address]) => ({ name: `${letter}.root-servers.net`, addresses: [address as string] }))

/** `192.0.2.1:53` or `[2001:db8::1]:53`; undefined for anything else. */
export const parsePeer = (text: string): Peer | undefined => {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text.trim()) ?? []
  const address = bracketed ?? plain ?? ""
  return isIP(address) !== 0 && Number(port) > 0 && Number(port) < 65_536 ? { address, port: Number(port) } : undefined
}

const peerOf = (name: string, read: Effect.Effect<string, Config.ConfigError>) =>
  Effect.map(
    checked(name, read, (text) => (text === "" || parsePeer(text) !== undefined ? undefined : "is not an address and port")),
    (text) => (text === "" ? undefined : parsePeer(text))
  )

const readOverride = peerOf("CD_DNS_AUTHORITY_OVERRIDE", AuthorityOverride)
const readValidator = peerOf("CD_DNS_VALIDATING_RESOLVER", ValidatingResolver)
const readRoots = checked("CD_DNS_ROOTS", Effect.map(Roots, listOf), (roots) => {
  const wrong = roots.find((text) => isIP(text) === 0)
  return wrong === undefined ? undefined : `${wrong} is not an address`
})

export const dnsSettings: Effect.Effect<DnsSettings, Config.ConfigError> = Effect.gen(function* () {
  const roots = yield* readRoots
  return {
    override: yield* readOverride,
    validator: yield* readValidator,
    roots: roots.length === 0 ? internetRoots : roots.map((address) => ({ name: address, addresses: [address] })),
    route: (address) => ({ address, port: 53 }),
    policy: yield* addressPolicy
  }
})

/** One server that answers for every zone decides who owns every name: never in production. */
const productionOverride = Effect.flatMap(Mode, (mode) =>
  checked("CD_DNS_AUTHORITY_OVERRIDE", readOverride, (peer) =>
    peer !== undefined && mode === "production" ? "is for the sandbox only: it would let one server prove every name" : undefined
  )
)

export const dnsSettingsList = [
  setting("CD_DNS_AUTHORITY_OVERRIDE", productionOverride, "nothing in production; in the sandbox ip:port such as 127.0.0.1:5300"),
  setting("CD_DNS_ROOTS", readRoots, "IP addresses of root servers, separated by commas, or nothing"),
  setting("CD_DNS_VALIDATING_RESOLVER", readValidator, "ip:port such as 127.0.0.1:53, or nothing")
]
