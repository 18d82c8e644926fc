/**
 * One question, one answer, as an authoritative server gives it (RFC 1034 §4.3.2, RFC 4592 wildcards, RFC 2308 negative answers).
 *
 * Pure over a ZoneStore. Leaves sockets, sizes and EDNS to DnsServer. It is authoritative for the root, so nothing is ever refused.
 */
import type { Answer, RecordType } from "dns-packet"
import { toWire } from "./recordContent.ts"
import { isServed, parentOf, type RecordSet, type Zone, type ZoneStore } from "./ZoneStore.ts"

export type Reply = {
  readonly rcode: number
  readonly authoritative: boolean
  readonly answers: ReadonlyArray<Answer>
  readonly authorities: ReadonlyArray<Answer>
}
const NOERROR = 0
const NXDOMAIN = 3
/** A chain longer than this is a loop (RFC 1034 §3.6.2 leaves the number to us). */
const maxAliases = 16

const toAnswers = (owner: string, set: RecordSet): ReadonlyArray<Answer> =>
  set.records
    .filter((record) => !record.disabled)
    .map((record) => ({ name: owner, type: set.type, ttl: set.ttl, class: "IN", data: toWire(set.type, record.content) }) as Answer)

/** RFC 2308 §3: the SOA of a negative answer carries the smaller of its TTL and its MINIMUM. */
const negativeSoa = (zone: Zone): ReadonlyArray<Answer> => {
  const soa = zone.sets.get(zone.name)?.get("SOA")
  if (!soa) return []
  const minimum = Number(soa.records[0]?.content.split(/\s+/).at(-1) ?? 0)
  return toAnswers(zone.name, { ...soa, ttl: Math.min(soa.ttl, minimum) })
}

/** The highest NS set strictly between the zone's apex and the name: a zone handed to servers that are not us. */
const delegation = (zone: Zone, name: string): RecordSet | undefined => {
  let found: RecordSet | undefined
  for (let at = name; at !== zone.name; at = parentOf(at)) found = zone.sets.get(at)?.get("NS") ?? found
  return found
}

/** The sets that answer for a name: its own, an address made up for a name server, or those of the wildcard at its closest encloser. */
const setsAt = (store: ZoneStore, zone: Zone, name: string): ReadonlyMap<string, RecordSet> | undefined => {
  const own = served(zone.sets.get(name))
  if (store.isNameServer(name) && !own?.has("A")) {
    return new Map([...(own ?? []), ["A", { name, type: "A", ttl: 60, records: [{ content: "127.0.0.1", disabled: false }] }]])
  }
  if (own) return own
  if (store.exists(name)) return new Map()
  let encloser = parentOf(name)
  while (encloser !== zone.name && !store.exists(encloser)) encloser = parentOf(encloser)
  return served(zone.sets.get(encloser === "." ? "*." : `*.${encloser}`))
}

const served = (sets: ReadonlyMap<string, RecordSet> | undefined): ReadonlyMap<string, RecordSet> | undefined => {
  if (sets === undefined || [...sets.values()].every(isServed)) return sets
  const rest = [...sets].filter(([, set]) => isServed(set))
  return rest.length === 0 ? undefined : new Map(rest)
}

const zoneFor = (store: ZoneStore, name: string, type: string): Zone => store.zoneOf(type === "DS" && name !== "." ? parentOf(name) : name)

export const answerQuestion = (store: ZoneStore, asked: string, type: RecordType | "ANY"): Reply => {
  const answers: Array<Answer> = []
  const seen = new Set<string>()
  for (let name = asked.toLowerCase(), owner = asked; ; ) {
    const zone = zoneFor(store, name, type)
    const referral = delegation(zone, name)
    if (referral) return { rcode: NOERROR, authoritative: answers.length > 0, answers, authorities: toAnswers(referral.name, referral) }
    const sets = setsAt(store, zone, name)
    if (sets === undefined) return { rcode: NXDOMAIN, authoritative: true, answers, authorities: negativeSoa(zone) }
    const wanted = type === "ANY" ? [...sets.values()] : [sets.get(type)].filter((set) => set !== undefined)
    answers.push(...wanted.flatMap((set) => toAnswers(owner, set)))
    const alias = wanted.length === 0 ? sets.get("CNAME") : undefined
    if (!alias) return { rcode: NOERROR, authoritative: true, answers, authorities: wanted.length === 0 ? negativeSoa(zone) : [] }
    answers.push(...toAnswers(owner, alias))
    seen.add(name)
    name = (alias.records[0]?.content ?? ".").toLowerCase()
    owner = name
    if (seen.has(name) || seen.size > maxAliases) return { rcode: NOERROR, authoritative: true, answers, authorities: [] }
  }
}
