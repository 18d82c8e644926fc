/**
 * The two looks at the DNS: is the ownership TXT there, do the wanted records stand?
 *
 * Owns: which questions are asked, each once in a look; the time limit. Leaves to `Resolver` the servers, to the matchers the judgement, to
 * the caller when to look and what follows. A look never fails: what could not be learned is `unknown`.
 */
import { randomBytes } from "node:crypto"
import { type DnsRecord, normaliseValue } from "@connect-domain/domain/DnsRecord.ts"
import { isWildcard, kindOf } from "@connect-domain/domain/Hostname.ts"
import { Clock, Effect } from "effect"
import type { NoAuthority } from "./Authorities.ts"
import { matchOwnership } from "./matchOwnership.ts"
import { matchAddress, matchAlias, matchValue, type TargetAddresses } from "./matchRecord.ts"
import type { QueryType } from "./message.ts"
import { Resolver, type ServerReply } from "./Resolver.ts"
import { bothOf, combine, combineAll, type ServerVerdict, type Verdict } from "./verdict.ts"

export type OwnershipLook = {
  readonly name: string
  readonly expected: string
  readonly verdict: Verdict
  readonly servers: ReadonlyArray<ServerVerdict>
  readonly looked_at: string
}
export type RecordLook = {
  readonly host: string
  readonly type: DnsRecord["type"]
  readonly value: string
  readonly verdict: Verdict
  /** What stands there instead or as well, several values joined by ", "; null when nothing does or nothing could be learned. */
  readonly observed_value: string | null
  readonly observed_ttl: number | null
  readonly servers: ReadonlyArray<ServerVerdict>
  /** False: nothing waits for it; not there means true. */
  readonly required?: boolean
}
export type RecordsLook = { readonly verdict: Verdict; readonly records: ReadonlyArray<RecordLook>; readonly looked_at: string }

/** Callers wait 5 s for a look. */
const longestLook = 4_500
const now = Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis).toISOString())
const nobody = (error: string): ReadonlyArray<ServerVerdict> => [{ server: "", address: null, values: [], verdict: "unknown", error }]
const tooSlow = nobody(`no complete answer within ${longestLook} ms`)

/** Did any server give a usable answer? If not, a caller who waits is told to come again. */
export const anyAnswered = (servers: ReadonlyArray<ServerVerdict>): boolean => servers.some((server) => server.error === null)

/** Every authoritative server of the zone is asked for the TXT at `name`, a CNAME there followed. */
export const lookOwnership = Effect.fn("dns.lookOwnership")(function* (asked: { readonly name: string; readonly value: string }) {
  const resolver = yield* Resolver
  const looked_at = yield* now
  const servers = yield* resolver.follow(asked.name, "TXT").pipe(
    Effect.map((replies) => matchOwnership(asked.value, replies)),
    Effect.flatMap((servers) => validated(resolver, asked.name, servers)),
    Effect.catchTag("NoAuthority", (error) => Effect.succeed(nobody(error.message))),
    Effect.timeoutOrElse({ duration: longestLook, orElse: () => Effect.succeed(tooSlow) })
  )
  const look: OwnershipLook = {
    name: asked.name,
    expected: asked.value,
    verdict: combine(servers.map((server) => server.verdict)),
    servers,
    looked_at
  }
  return look
})

/** A value that takes a claim must also hold under DNSSEC, where a resolver checks that; else nothing is known (requirement D11). */
const validated = (resolver: (typeof Resolver)["Service"], name: string, servers: ReadonlyArray<ServerVerdict>) =>
  combine(servers.map((server) => server.verdict)) !== "match"
    ? Effect.succeed(servers)
    : Effect.map(resolver.validate(name, "TXT"), (error) =>
        error === null ? servers : servers.map((server): ServerVerdict => ({ ...server, verdict: "unknown", error }))
      )

/** Each record by itself, and the verdict over those with `required` not false. A wildcard is looked at through a random label under it. */
export const lookRecords = Effect.fn("dns.lookRecords")(function* (records: ReadonlyArray<DnsRecord>) {
  const looked_at = yield* now
  const questions = makeQuestions(yield* Resolver)
  const probes = records.map(probeOf(randomLabel()))
  const found = (record: DnsRecord, among: ReadonlyArray<DnsRecord>) =>
    serversFor(record, among, questions).pipe(
      Effect.catchTag("NoAuthority", (error) => Effect.succeed(unlearned(nobody(error.message)))),
      Effect.timeoutOrElse({ duration: longestLook, orElse: () => Effect.succeed(unlearned(tooSlow)) })
    )
  const one = (record: DnsRecord, at: number) => {
    const itself = found(record, records)
    if (!isWildcard(record.host)) return Effect.map(itself, (servers) => recordLook(record, servers))
    return Effect.map(Effect.all([found(probes[at]!, probes), itself], { concurrency: 2 }), ([probe, literal]) =>
      recordLook(record, { ...probe, servers: withLiteral(probe.servers, literal.servers) })
    )
  }
  const looks = yield* Effect.forEach(records, one, { concurrency: "unbounded" })
  const needed = looks.filter((_, at) => records[at]!.required !== false)
  const look: RecordsLook = { verdict: combineAll(needed.map((record) => record.verdict)), records: looks, looked_at }
  return look
})

/** Nobody can have put a record of its own there. */
const randomLabel = (): string => `cd-probe-${randomBytes(10).toString("hex")}`
const probeOf =
  (label: string) =>
  (record: DnsRecord): DnsRecord =>
    isWildcard(record.host) ? { ...record, host: `${label}${record.host.slice(1)}` } : record

/** A wildcard is what a name that nobody could guess shows (RFC 4592); if `*` itself shows something else, a change is still spreading. */
const withLiteral = (probe: ReadonlyArray<ServerVerdict>, literal: ReadonlyArray<ServerVerdict>): ReadonlyArray<ServerVerdict> =>
  probe.map((seen) => {
    const itself = literal.find(({ server }) => server === seen.server)
    const differs = itself !== undefined && itself.error === null && itself.values.length > 0 && itself.verdict === "mismatch"
    return differs && seen.error === null ? { ...seen, values: itself.values, verdict: "mismatch" } : seen
  })

type Found = { readonly servers: ReadonlyArray<ServerVerdict>; readonly ttl: number | null }
const unlearned = (servers: ReadonlyArray<ServerVerdict>): Found => ({ servers, ttl: null })

const recordLook = (record: DnsRecord, { servers, ttl }: Found): RecordLook => {
  const shown = servers.find((server) => server.error === null && server.values.length > 0)
  return {
    host: record.host,
    type: record.type,
    value: record.value,
    verdict: combine(servers.map((server) => server.verdict)),
    observed_value: shown === undefined ? null : shown.values.join(", "),
    observed_ttl: ttl,
    servers,
    ...(record.required === undefined ? {} : { required: record.required })
  }
}

type Ask = (name: string, type: QueryType) => Effect.Effect<ReadonlyArray<ServerReply>, NoAuthority>
type Questions = { readonly ask: Ask; readonly follow: Ask; readonly isZone: (name: string) => Effect.Effect<boolean> }

/** Each question once in a look, also when several records need its answer. */
const makeQuestions = (resolver: (typeof Resolver)["Service"]): Questions => {
  const once = (ask: Ask): Ask => {
    const asked = new Map<string, Effect.Effect<ReadonlyArray<ServerReply>, NoAuthority>>()
    return (name, type) =>
      Effect.suspend(() => {
        const key = `${type} ${name}`
        const before = asked.get(key)
        if (before !== undefined) return before
        return Effect.flatMap(Effect.cached(ask(name, type)), (cached) => {
          asked.set(key, cached)
          return cached
        })
      })
  }
  const isZone = (name: string) => Effect.match(resolver.zone(name), { onFailure: () => false, onSuccess: ({ zone }) => zone === name })
  return { ask: once(resolver.ask), follow: once(resolver.follow), isZone }
}

const firstTtl = (replies: ReadonlyArray<ServerReply>): number | null => {
  for (const { outcome } of replies) if (outcome.kind === "answered" && outcome.ttl !== null) return outcome.ttl
  return null
}

const bothFamilies = (ask: Ask, name: string) =>
  Effect.map(Effect.all([ask(name, "A"), ask(name, "AAAA")], { concurrency: 2 }), ([a, aaaa]) => bothOf(a, aaaa))

const serversFor = (record: DnsRecord, all: ReadonlyArray<DnsRecord>, questions: Questions): Effect.Effect<Found, NoAuthority> => {
  switch (record.type) {
    case "A":
    case "AAAA":
      return Effect.map(bothFamilies(questions.follow, record.host), (replies) => ({
        servers: matchAddress(record, addressesOf(record.host, all), replies),
        ttl: firstTtl(replies)
      }))
    case "CNAME":
    case "ALIAS":
      return aliasServers(record, questions)
    default:
      return Effect.map(questions.follow(record.host, record.type), (replies) => ({
        servers: matchValue(record, replies),
        ttl: firstTtl(replies)
      }))
  }
}

const addressesOf = (host: string, all: ReadonlyArray<DnsRecord>): ReadonlySet<string> =>
  new Set(
    all
      .filter((other) => other.host === host && (other.type === "A" || other.type === "AAAA"))
      .map((other) => normaliseValue(other.type, other.value))
  )

/** One question tells a CNAME; only where addresses stand in its place are they compared with the target's. */
const aliasServers = Effect.fnUntraced(function* (record: DnsRecord, questions: Questions) {
  const first = yield* questions.ask(record.host, "A")
  const plain = first.some(({ outcome }) => outcome.kind === "answered" && outcome.alias === null)
  const accepted = plain && (record.type === "ALIAS" || kindOf(record.host) === "apex" || (yield* questions.isZone(record.host)))
  if (!accepted) return { servers: matchAlias(record, first, { kind: "notAccepted" }), ttl: firstTtl(first) }
  const replies = bothOf(first, yield* questions.ask(record.host, "AAAA"))
  return {
    servers: matchAlias(record, replies, yield* targetAddresses(normaliseValue("CNAME", record.value), questions)),
    ttl: firstTtl(replies)
  }
})

const targetAddresses = (target: string, questions: Questions): Effect.Effect<TargetAddresses> =>
  bothFamilies(questions.follow, target).pipe(
    Effect.map((replies): TargetAddresses => {
      const outcome = replies.find((reply) => reply.outcome.kind === "answered")?.outcome
      return outcome?.kind === "answered"
        ? { kind: "known", addresses: outcome.values }
        : { kind: "unknown", error: "none of its servers answers" }
    }),
    Effect.catchTag("NoAuthority", (error) => Effect.succeed<TargetAddresses>({ kind: "unknown", error: error.message }))
  )
