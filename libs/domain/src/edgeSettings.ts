/**
 * What customers point their names at: the edge's own name and addresses.
 *
 * Owns: the two settings and their checks, for all who put them into records. Built against: a production that hands out a name or an
 * address of the sandbox, so that every customer's domain leads nowhere.
 */
import { BlockList, isIP } from "node:net"
import { Config, Effect, Option, Result } from "effect"
import { isWildcard, parseHostname } from "./Hostname.ts"
import { Mode } from "./Mode.ts"
import { checked, listOf, setting, wrongSetting } from "./Setting.ts"

/** `CD_EDGE_HOSTNAME`: the name that customers' CNAMEs point at. It, its domain and everything below are never onboarded. Required in production. */
export const EdgeHostname = Config.option(Config.String("CD_EDGE_HOSTNAME"))
const sandboxEdge = "edge.connect.test"

/** `CD_EDGE_ADDRESSES`: comma list of the edge's addresses, for names that can't have a CNAME; the edge takes none of them for an origin. Default: none. */
export const EdgeAddresses = Config.String("CD_EDGE_ADDRESSES").pipe(Config.withDefault(""))

const unreachable = new BlockList()
unreachable.addSubnet("127.0.0.0", 8)
unreachable.addSubnet("0.0.0.0", 8)
unreachable.addSubnet("169.254.0.0", 16)
unreachable.addSubnet("224.0.0.0", 3)
unreachable.addAddress("::1", "ipv6")
unreachable.addAddress("::", "ipv6")
unreachable.addSubnet("fe80::", 10, "ipv6")
unreachable.addSubnet("ff00::", 8, "ipv6")

/** Never another machine's: loopback, unspecified, link-local, multicast. False for what is no address. */
export const isOwnMachineOrLink = (address: string): boolean => unreachable.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")

/** The edge's name in canonical form. */
export const readEdgeHostname = Effect.gen(function* () {
  const mode = yield* Mode
  const text = Option.filter(yield* EdgeHostname, (value) => value !== "")
  if (Option.isNone(text)) return mode === "sandbox" ? sandboxEdge : yield* wrongSetting("CD_EDGE_HOSTNAME", "is required in production")
  const parsed = parseHostname(text.value)
  if (Result.isFailure(parsed)) return yield* wrongSetting("CD_EDGE_HOSTNAME", parsed.failure.message)
  const name = parsed.success as string
  if (isWildcard(name) || !name.includes(".")) return yield* wrongSetting("CD_EDGE_HOSTNAME", "is not a full host name")
  if (mode === "production" && /\.(test|localhost|invalid)$/.test(name)) {
    return yield* wrongSetting("CD_EDGE_HOSTNAME", "is a name that exists in a sandbox only")
  }
  return name
})

/** The edge's addresses, each checked. */
export const readEdgeAddresses = checked("CD_EDGE_ADDRESSES", Effect.map(EdgeAddresses, listOf), (addresses) => {
  const wrong = addresses.find((address) => isIP(address) === 0)
  return wrong === undefined ? undefined : `${wrong} is not an IP address`
})

const reachableEdgeAddresses = Effect.flatMap(Mode, (mode) =>
  checked("CD_EDGE_ADDRESSES", readEdgeAddresses, (addresses) => {
    const wrong = mode === "production" ? addresses.find(isOwnMachineOrLink) : undefined
    return wrong === undefined ? undefined : `${wrong} is not reachable for anybody else`
  })
)

export const edgeAddressesSetting = setting(
  "CD_EDGE_ADDRESSES",
  reachableEdgeAddresses,
  "the edge's public IP addresses, separated by commas"
)

export const edgeSettings = [
  setting("CD_EDGE_HOSTNAME", readEdgeHostname, "the host name that customers' CNAMEs point at, such as edge.example.com"),
  edgeAddressesSetting
]
