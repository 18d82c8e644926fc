/**
 * What every authoritative server of a zone says about a name.
 *
 * Owns: asking all servers of the zone at once, what counts as an answer, and following aliases across zones. Leaves to `Authorities` who
 * is asked, to the matchers what it means. Built against: one server out of step that would decide alone, and a failure (SERVFAIL,
 * timeout, a server that is not authoritative) that would be read as "nothing there" (requirement D11).
 */
import { Context, Effect, Layer } from "effect"
import { Authorities, NoAuthority, type ZoneServers } from "./Authorities.ts"
import { DnsTransport } from "./DnsTransport.ts"
import { isWithin, NOERROR, NXDOMAIN, parentName, plainName, type QueryType, REFUSED, type Reply, rcodeName } from "./message.ts"

/** `values` in the normal form of `libs/domain`; `alias` is where a CNAME at the name points (then `values` is what stands behind it, if followed). */
export type Answered = {
  readonly kind: "answered"
  readonly exists: boolean
  readonly alias: string | null
  readonly values: ReadonlyArray<string>
  /** Seconds; of the first record at the name itself. */
  readonly ttl: number | null
}
export type Failed = { readonly kind: "failed"; readonly error: string }
/** One server of the zone. It failed when none of its addresses gave an authoritative answer. */
export type ServerReply = { readonly server: string; readonly address: string | null; readonly outcome: Answered | Failed }

/** What the servers that answered say. */
export const answersIn = (replies: ReadonlyArray<ServerReply>): ReadonlyArray<Answered> =>
  replies.map(({ outcome }) => outcome).filter((outcome) => outcome.kind === "answered")

const longestChain = 8

export class Resolver extends Context.Service<
  Resolver,
  {
    /** Asks every server of the zone that holds the name. An alias at the name is reported, not followed. */
    readonly ask: (name: string, type: QueryType) => Effect.Effect<ReadonlyArray<ServerReply>, NoAuthority>
    /** As `ask`, with aliases followed through as many zones as it takes (8 at most): `values` are those at the end. */
    readonly follow: (name: string, type: QueryType) => Effect.Effect<ReadonlyArray<ServerReply>, NoAuthority>
    /**
     * What a validating resolver has against the name's signatures; null when nothing, or when none is configured. A resolver that does not
     * answer is something against it.
     */
    readonly validate: (name: string, type: QueryType) => Effect.Effect<string | null>
    /** The zone that holds the name and the names of its servers, as they say themselves. */
    readonly zone: (name: string) => Effect.Effect<{ readonly zone: string; readonly nameServers: ReadonlyArray<string> }, NoAuthority>
  }
>()("dns/Resolver") {
  static readonly make = Effect.gen(function* () {
    const transport = yield* DnsTransport
    const authorities = yield* Authorities
    return Resolver.of(makeResolver(transport, authorities))
  })
  /** Needs Authorities and DnsTransport; `layer` brings those of the process's configuration. */
  static readonly layerNoDeps = Layer.effect(Resolver, Resolver.make)
  static readonly layer = Resolver.layerNoDeps.pipe(Layer.provide(Authorities.layer), Layer.provide(DnsTransport.layer))
}

const makeResolver = (
  transport: (typeof DnsTransport)["Service"],
  authorities: (typeof Authorities)["Service"]
): (typeof Resolver)["Service"] => {
  const askServer = (zone: ZoneServers, addresses: ReadonlyArray<string>, name: string, type: QueryType) => {
    const from = (at: number, problem: string): Effect.Effect<{ readonly address: string | null; readonly outcome: Answered | Failed }> => {
      const address = addresses[at]
      if (address === undefined) return Effect.succeed({ address: addresses[0] ?? null, outcome: { kind: "failed", error: problem } })
      return transport.exchange(authorities.route(address), { name, type }).pipe(
        Effect.map((reply) => interpret(reply, zone.zone, name, type)),
        Effect.catchTag("DnsTransportError", (error) => Effect.succeed<Failed>({ kind: "failed", error: error.message })),
        Effect.flatMap((outcome) => (outcome.kind === "failed" ? from(at + 1, outcome.error) : Effect.succeed({ address, outcome })))
      )
    }
    return from(0, "has no address that may be asked")
  }

  const ask = Effect.fnUntraced(function* (asked: string, type: QueryType) {
    const name = plainName(asked)
    const zone = yield* authorities.zoneOf(type === "DS" ? parentName(name) : name)
    const one = (server: ZoneServers["servers"][number]) =>
      Effect.map(askServer(zone, server.addresses.slice(0, 2), name, type), (reply): ServerReply => ({ server: server.name, ...reply }))
    return yield* Effect.forEach(zone.servers, one, { concurrency: "unbounded" })
  })

  const follow = (name: string, type: QueryType, chain = 0): Effect.Effect<ReadonlyArray<ServerReply>, NoAuthority> =>
    Effect.gen(function* () {
      const replies = yield* ask(name, type)
      const aliases = new Set(
        replies.map(({ outcome }) => (outcome.kind === "answered" ? outcome.alias : null)).filter((alias) => alias !== null)
      )
      if (aliases.size === 0) return replies
      const ends = new Map<string, Answered | Failed>()
      for (const alias of aliases) ends.set(alias, yield* endOf(alias, type, chain + 1))
      return replies.map((reply): ServerReply => {
        const { outcome } = reply
        const end = outcome.kind === "answered" && outcome.alias !== null ? ends.get(outcome.alias) : undefined
        if (end === undefined || outcome.kind === "failed") return reply
        return { ...reply, outcome: end.kind === "failed" ? end : { ...outcome, values: end.values } }
      })
    })

  /** What stands behind an alias, if the servers there agree. */
  const endOf = (alias: string, type: QueryType, chain: number): Effect.Effect<Answered | Failed> =>
    chain > longestChain
      ? Effect.succeed({ kind: "failed", error: `more than ${longestChain} aliases in a row` })
      : Effect.match(follow(alias, type, chain), {
          onFailure: (error): Answered | Failed => ({ kind: "failed", error: `${alias}: ${error.message}` }),
          onSuccess: (replies) => agreed(alias, replies)
        })

  const zone = Effect.fnUntraced(function* (asked: string) {
    let name = plainName(asked)
    for (;;) {
      const found = yield* authorities.zoneOf(name)
      const owner = found.zone === "" ? yield* soaOwnerAt(found, name) : found.zone
      if (owner !== undefined) return { zone: owner, nameServers: yield* namesOf(owner, found) }
      name = parentName(name)
    }
  })

  /** With an override one server stands for all: the zone is the owner of the SOA that it shows. */
  const soaOwnerAt = Effect.fnUntraced(function* (found: ZoneServers, name: string) {
    for (const server of found.servers) {
      for (const address of server.addresses) {
        const reply = yield* Effect.option(transport.exchange(authorities.route(address), { name, type: "SOA" }))
        if (reply._tag === "None") continue
        const soa = [...reply.value.answers, ...reply.value.authorities].find(
          (record) => record.type === "SOA" && isWithin(name, record.name)
        )
        if (soa !== undefined || name === "") return soa?.name ?? ""
        if (reply.value.rcode === NOERROR || reply.value.rcode === NXDOMAIN) return undefined
      }
    }
    return yield* new NoAuthority({ zone: name, detail: "no usable answer" })
  })

  const namesOf = (owner: string, found: ZoneServers) =>
    Effect.map(ask(owner, "NS"), (replies) => {
      const said = replies.flatMap(({ outcome }) => (outcome.kind === "answered" ? outcome.values : []))
      return said.length > 0 ? [...new Set(said)] : found.zone === owner ? found.servers.map((server) => server.name) : []
    })

  /** RFC 4035 §5.5: a resolver that validates answers SERVFAIL to what does not hold. Its values may be from its cache and are not looked at. */
  const validate = (name: string, type: QueryType): Effect.Effect<string | null> =>
    authorities.validator === undefined
      ? Effect.succeed(null)
      : Effect.match(transport.exchange(authorities.validator, { name: plainName(name), type }, { recursive: true }), {
          onFailure: (error) => `the validating resolver: ${error.message}`,
          onSuccess: ({ rcode }) => (rcode === NOERROR || rcode === NXDOMAIN ? null : `the validating resolver answers ${rcodeName(rcode)}`)
        })

  return { ask, follow: (name, type) => follow(name, type), validate, zone }
}

/**
 * The one server of an override (zone "") refuses names outside its zones. The climb for CAA leaves a customer's zone at the top-level domain,
 * which such a server rarely holds: there is nothing to be known there, and nothing forbids. Below real roots this server never occurs.
 */
const nothing: Answered = { kind: "answered", exists: false, alias: null, values: [], ttl: null }

/** An answer counts only from a server that is authoritative; anything else is a failure and says nothing about the name. */
const interpret = (reply: Reply, zone: string, name: string, type: QueryType): Answered | Failed => {
  if (zone === "" && type === "CAA" && reply.rcode === REFUSED) return nothing
  if (reply.rcode !== NOERROR && reply.rcode !== NXDOMAIN) return { kind: "failed", error: `answers ${rcodeName(reply.rcode)}` }
  if (!reply.authoritative) return { kind: "failed", error: "is not authoritative for the zone" }
  const own = reply.answers.filter((record) => record.name === name)
  const alias = type === "CNAME" ? undefined : own.find((record) => record.type === "CNAME")
  const values = alias ? behind(reply, zone, alias.value, type) : own.filter((record) => record.type === type).map((record) => record.value)
  return {
    kind: "answered",
    exists: reply.rcode === NOERROR || alias !== undefined,
    alias: alias?.value ?? null,
    values,
    ttl: own[0]?.ttl ?? null
  }
}

/** What the server itself shows behind an alias, as far as the zone that was asked reaches. Only for showing: `follow` asks. */
const behind = (reply: Reply, zone: string, start: string, type: QueryType): ReadonlyArray<string> => {
  let name = start
  for (let hops = 0; hops < longestChain && isWithin(name, zone); hops++) {
    const here = name
    const next = reply.answers.find((record) => record.name === here && record.type === "CNAME")
    if (next === undefined)
      return reply.answers.filter((record) => record.name === here && record.type === type).map((record) => record.value)
    name = next.value
  }
  return []
}

const agreed = (name: string, replies: ReadonlyArray<ServerReply>): Answered | Failed => {
  const answered = answersIn(replies)
  const first = answered[0]
  if (first === undefined)
    return { kind: "failed", error: `${name}: ${replies[0]?.outcome.kind === "failed" ? replies[0].outcome.error : "no server"}` }
  const key = (outcome: Answered) => [...outcome.values].sort().join("\n")
  return answered.every((outcome) => key(outcome) === key(first)) ? first : { kind: "failed", error: `${name}: its servers disagree` }
}
