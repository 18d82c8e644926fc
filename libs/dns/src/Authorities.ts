/**
 * Which servers are authoritative for a name: the walk from the root to the zone cut (RFC 1034 §5.3.3, names minimised as in RFC 9156).
 *
 * Owns: delegations, addresses of name servers, how long either is believed. Leaves to `DnsTransport` sending, to `Resolver` asking what
 * was to be known. Built against: resolvers' negative caching, a domain whose servers lead the walk in circles or into our own network
 * (each address passes the address policy), and ten thousand names that would all ask the root at once (each suffix is asked for once).
 */
import { Cache, Context, Data, Duration, Effect, Exit, Layer, Option } from "effect"
import { type DnsSettings, dnsSettings } from "./DnsSettings.ts"
import { DnsTransport } from "./DnsTransport.ts"
import { isWithin, NOERROR, NXDOMAIN, parentName, type Reply, rcodeName } from "./message.ts"
import type { Peer } from "./udpExchange.ts"

/** Addresses that may be asked, IPv4 first; none when the name has none, or only such as the policy denies. */
export type NameServer = { readonly name: string; readonly addresses: ReadonlyArray<string> }
export type ZoneServers = {
  readonly zone: string
  readonly servers: ReadonlyArray<NameServer>
  readonly ttl: number
  readonly empty: boolean
}

/** No server of some zone on the way gave a usable answer. */
export class NoAuthority extends Data.TaggedError("NoAuthority")<{ readonly zone: string; readonly detail: string }> {
  override get message() {
    return `no server of ${this.zone === "" ? "the root" : this.zone} answers: ${this.detail}`
  }
}

/** Delegations are believed for a minute at most, so that a customer who moves his zone is not looked for at his old provider. */
const longestBelieved = 60
/** Top-level zones move rarely, and asking for them again would burden others. */
const longestBelievedAtTop = 3600
/** A name server's name may hang on other zones' servers, and those again; deeper than this is a maze. */
const deepestNesting = 3
/** RFC 9520 and the NXNS attack: no more servers of one zone than the root has. */
const mostServers = 13
/** Servers tried for one step of the walk. */
const mostTried = 4
/** RFC 9156 §2.3: names with more labels than this are asked for whole. */
const mostLabels = 12

export class Authorities extends Context.Service<
  Authorities,
  {
    /** The zone that holds the name, with every server it is delegated to. Names as in `message.ts`. */
    readonly zoneOf: (name: string) => Effect.Effect<ZoneServers, NoAuthority>
    /** Where a name server's address is reached. */
    readonly route: (address: string) => Peer
    /** A resolver that validates DNSSEC, if one is configured. */
    readonly validator: Peer | undefined
  }
>()("dns/Authorities") {
  static make(settings: DnsSettings) {
    return Effect.gen(function* () {
      const transport = yield* DnsTransport
      if (settings.override !== undefined) return overridden(settings.override, settings.validator)
      return Authorities.of({ zoneOf: yield* makeWalk(settings, transport), route: settings.route, validator: settings.validator })
    })
  }
  static layerWith(settings: DnsSettings) {
    return Layer.effect(Authorities, Authorities.make(settings))
  }
  static readonly layer = Layer.effect(Authorities, Effect.flatMap(dnsSettings, Authorities.make))
}

/** With an override there is one server, authoritative for all names. */
const overridden = (peer: Peer, validator: Peer | undefined): (typeof Authorities)["Service"] => {
  const all: ZoneServers = { zone: "", servers: [{ name: peer.address, addresses: [peer.address] }], ttl: 0, empty: false }
  return Authorities.of({ zoneOf: () => Effect.succeed(all), route: () => peer, validator })
}

type Transport = (typeof DnsTransport)["Service"]

const makeWalk = Effect.fnUntraced(function* (settings: DnsSettings, transport: Transport) {
  const root: ZoneServers = { zone: "", servers: settings.roots, ttl: longestBelievedAtTop, empty: false }
  const believed = (exit: Exit.Exit<ZoneServers, NoAuthority>, name: string) =>
    Exit.isSuccess(exit)
      ? Duration.seconds(name.includes(".") ? Math.min(exit.value.ttl, longestBelieved) : exit.value.ttl)
      : Duration.seconds(1)

  /** Only walks that began at a caller share each other's pending steps: nested ones could wait for themselves. */
  const shared: Cache.Cache<string, ZoneServers, NoAuthority> = yield* Cache.makeWith((name: string) => step(name, 0), {
    capacity: 100_000,
    timeToLive: believed
  })

  const zoneOf = (name: string, depth: number): Effect.Effect<ZoneServers, NoAuthority> =>
    Effect.suspend(() => {
      if (name === "") return Effect.succeed(root)
      if (depth === 0) return Cache.get(shared, name)
      return Effect.flatMap(Cache.getSuccess(shared, name), (known) =>
        Option.isSome(known) ? Effect.succeed(known.value) : step(name, depth)
      )
    })

  const step = (name: string, depth: number): Effect.Effect<ZoneServers, NoAuthority> =>
    Effect.gen(function* () {
      const labels = name.split(".")
      const parent = yield* zoneOf(labels.length > mostLabels ? labels.slice(-mostLabels).join(".") : parentName(name), depth)
      // RFC 8020: below a name that does not exist there is nothing, so no cut either.
      if (parent.empty) return parent
      const reply = yield* askAny(parent, name)
      const cut = delegationIn(reply, name, parent.zone)
      if (cut !== undefined) return yield* enter(cut, reply, parent, depth)
      const owner = soaOwner(reply, name)
      if (owner === undefined || owner === parent.zone || !isWithin(name, owner) || !isWithin(owner, parent.zone))
        return { ...parent, empty: reply.rcode === NXDOMAIN }
      // The parent's servers are the child's as well and answered for it: its own NS set names all that are.
      const own = yield* askServers(parent, owner, "NS")
      const servers = own.answers.filter((record) => record.type === "NS" && record.name === owner)
      const zone = servers.length === 0 ? { ...parent, zone: owner } : yield* enter({ zone: owner, servers }, own, parent, depth)
      return { ...zone, empty: reply.rcode === NXDOMAIN && owner !== name }
    })

  const askAny = (zone: ZoneServers, name: string) => askServers(zone, name, "SOA")
  const askServers = (zone: ZoneServers, name: string, type: "SOA" | "NS"): Effect.Effect<Reply, NoAuthority> => {
    const peers = shuffled(zone.servers)
      .flatMap((server) => server.addresses.slice(0, 1))
      .slice(0, mostTried)
    const from = (at: number, problem: string): Effect.Effect<Reply, NoAuthority> => {
      const address = peers[at]
      if (address === undefined) return Effect.fail(new NoAuthority({ zone: zone.zone, detail: problem }))
      return transport.exchange(settings.route(address), { name, type }).pipe(
        Effect.flatMap((reply) =>
          reply.rcode === NOERROR || reply.rcode === NXDOMAIN
            ? Effect.succeed(reply)
            : from(at + 1, `${address} says ${rcodeName(reply.rcode)}`)
        ),
        Effect.catchTag("DnsTransportError", (error) => from(at + 1, `${address}: ${error.message}`))
      )
    }
    return from(0, "its servers have no address that may be asked")
  }

  const enter = (cut: Cut, reply: Reply, parent: ZoneServers, depth: number): Effect.Effect<ZoneServers, NoAuthority> => {
    const names = [...new Set(cut.servers.map((record) => record.value))].slice(0, mostServers)
    const address = (name: string) =>
      Effect.map(serverAddresses(name, reply, parent.zone, depth), (addresses): NameServer => ({ name, addresses }))
    const top = !cut.zone.includes(".")
    const ttl = Math.max(1, Math.min(...cut.servers.map((record) => record.ttl), top ? longestBelievedAtTop : longestBelieved))
    return Effect.map(Effect.forEach(names, address, { concurrency: 4 }), (servers) => ({
      zone: cut.zone,
      servers,

      ttl,
      empty: false
    }))
  }

  /** Glue, if the parent may speak for that name; otherwise a walk of its own. A server without address stays in the list: it does not answer. */
  const serverAddresses = (name: string, reply: Reply, parentZone: string, depth: number): Effect.Effect<ReadonlyArray<string>> => {
    const glue = isWithin(name, parentZone) ? usable(reply.additionals.filter((record) => record.name === name)) : []
    if (glue.length > 0 || depth >= deepestNesting) return Effect.succeed(glue)
    return Effect.gen(function* () {
      const zone = yield* zoneOf(name, depth + 1)
      const one = (type: "A" | "AAAA") => firstAnswer(zone, name, type)
      const [v4, v6] = yield* Effect.all([one("A"), one("AAAA")], { concurrency: 2 })
      return usable([...v4, ...v6])
    }).pipe(Effect.catchTag("NoAuthority", () => Effect.succeed([])))
  }

  const firstAnswer = (zone: ZoneServers, name: string, type: "A" | "AAAA") => {
    const peers = shuffled(zone.servers)
      .flatMap((server) => server.addresses.slice(0, 1))
      .slice(0, mostTried)
    const from = (at: number): Effect.Effect<Reply["answers"]> => {
      const address = peers[at]
      if (address === undefined) return Effect.succeed([])
      return transport.exchange(settings.route(address), { name, type }).pipe(
        Effect.flatMap((reply) =>
          reply.rcode === NOERROR || reply.rcode === NXDOMAIN
            ? Effect.succeed(reply.answers.filter((record) => record.name === name))
            : from(at + 1)
        ),
        Effect.catchTag("DnsTransportError", () => from(at + 1))
      )
    }
    return from(0)
  }

  const usable = (records: Reply["additionals"]): ReadonlyArray<string> =>
    [...records.filter((record) => record.type === "A"), ...records.filter((record) => record.type === "AAAA")]
      .map((record) => record.value)
      .filter((address) => settings.policy.check(address) !== "denied")

  return (name: string) => zoneOf(name, 0)
})

type Cut = { readonly zone: string; readonly servers: Reply["authorities"] }

/** A referral: NS of a zone below ours and above (or at) the name, in an answer that is not the server's own. */
const delegationIn = (reply: Reply, name: string, zone: string): Cut | undefined => {
  if (reply.answers.length > 0 || reply.authorities.some((record) => record.type === "SOA")) return undefined
  const servers = reply.authorities.filter(
    (record) => record.type === "NS" && record.name !== zone && isWithin(record.name, zone) && isWithin(name, record.name)
  )
  return servers[0] === undefined
    ? undefined
    : { zone: servers[0].name, servers: servers.filter((record) => record.name === servers[0]!.name) }
}

/** An alias stands in the zone that an SOA question for it can't name: then it is the parent's. */
const soaOwner = (reply: Reply, name: string): string | undefined => {
  if (reply.answers.some((record) => record.type === "SOA" && record.name === name)) return name
  if (reply.answers.some((record) => record.type === "CNAME" && record.name === name)) return undefined
  return reply.authorities.find((record) => record.type === "SOA")?.name
}

const shuffled = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => {
  const copy = [...items]
  for (let at = copy.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1))
    ;[copy[at], copy[other]] = [copy[other]!, copy[at]!]
  }
  return copy
}
