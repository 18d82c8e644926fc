/**
 * What PowerDNS 4.7 accepts as a zone or as a change to one, and the sentence with which it refuses the rest.
 *
 * Pure. Owns the checks and their order, which decides what a caller with two mistakes is told. Leaves storing to ZoneStore, HTTP to
 * PowerDnsApi. Compared with the real server by `powerDnsDifferential.integration.test.ts`.
 */
import { checkContent, knownTypes } from "./recordContent.ts"
import type { RecordSet, Zone } from "./ZoneStore.ts"

/** An answer 422 with `{"error": message}`. */
export class Unprocessable extends Error {}
type Json = Record<string, unknown>

const record = (value: unknown): Json => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {})
const fail = (message: string): never => {
  throw new Unprocessable(message)
}
const text = (from: Json, key: string): string => {
  const value = from[key]
  return typeof value === "string" ? value : fail(`Key '${key}' not present or not a String`)
}

export const canonicalName = (name: string): string =>
  name.endsWith(".") ? name.toLowerCase() : fail(`DNS Name '${name}' is not canonical`)

const inside = (name: string, zone: string) => zone === "." || name === zone || name.endsWith(`.${zone}`)
const label = (set: { readonly name: string; readonly type: string }) => `RRset ${set.name} IN ${set.type}`

const parseRecords = (name: string, type: string, given: unknown): RecordSet["records"] => {
  const contents = new Set<string>()
  return (Array.isArray(given) ? given : []).map(record).map((entry) => {
    const content = text(entry, "content")
    const problem = checkContent(type, content)
    if (problem?.kind === "unreadable")
      fail(`Record ${name}/${type} '${content}': Parsing record content (try 'pdnsutil check-zone'): ${problem.detail}`)
    if (problem?.kind === "notCanonical")
      fail(`Record ${name}/${type} '${content}': Not in expected format (parsed as '${problem.canonical}')`)
    if (contents.has(content)) fail(`Duplicate record in RRset ${name} IN ${type} with content "${content}"`)
    contents.add(content)
    return { content, disabled: entry.disabled === true }
  })
}

const parseSet = (given: Json, zone: string): RecordSet => {
  const name = canonicalName(text(given, "name"))
  const type = text(given, "type")
  if (!knownTypes.has(type)) fail(`RRset ${name} IN ${type}: unknown type given`)
  if (!inside(name, zone)) fail(`RRset ${name} IN ${type}: Name is out of zone`)
  const ttl = Number.isInteger(given.ttl) ? (given.ttl as number) : fail("Key 'ttl' not an Integer or not present")
  const records = parseRecords(name, type, given.records)
  if (type === "CNAME" && records.length > 1) fail(`RRset ${name} IN CNAME has more than one record`)
  return { name, type, ttl, records }
}

/** A zone to be made: its SOA, its NS and the sets that the request brings. */
export const parseZone = (
  body: unknown
): { readonly name: string; readonly kind: string; readonly sets: () => ReadonlyArray<RecordSet> } => {
  const given = record(body)
  const name = canonicalName(text(given, "name"))
  return { name, kind: "Native", sets: () => zoneSets(given, name) }
}

const zoneSets = (given: Json, name: string): ReadonlyArray<RecordSet> => {
  text(given, "kind")
  const servers = (Array.isArray(given.nameservers) ? given.nameservers : []).map((server) => {
    const host = typeof server === "string" ? server : fail("Nameserver is not a string")
    return host.endsWith(".") ? host.toLowerCase() : fail(`Nameserver is not canonical: '${host}'`)
  })
  const brought = (Array.isArray(given.rrsets) ? given.rrsets : []).map((set) => parseSet(record(set), name))
  const soa = `ns1.${name} hostmaster.${name} 0 10800 3600 604800 60`
  const made: Array<RecordSet> = []
  if (!brought.some((set) => set.type === "SOA")) made.push({ name, type: "SOA", ttl: 3600, records: [{ content: soa, disabled: false }] })
  if (servers.length > 0) made.push({ name, type: "NS", ttl: 3600, records: servers.map((content) => ({ content, disabled: false })) })
  return [...brought, ...made]
}

/** Name → type → set. */
type Puts = Map<string, Map<string, RecordSet>>

/** The sets to be put (an empty one removes), in the order of the request; all of them or none. */
export const parseChange = (zone: Zone, body: unknown): ReadonlyArray<RecordSet> => {
  const given = record(body).rrsets
  const wanted = Array.isArray(given) ? given.map(record) : fail("No rrsets given in update request")
  const seen = new Set<string>()
  const puts: Puts = new Map()
  for (const entry of wanted) {
    const set = parseOne(zone, entry)
    const kind = text(entry, "changetype").toUpperCase()
    const key = `${set.name} ${set.type} ${kind}`
    if (seen.has(key)) fail(`Duplicate ${label(set)} with changetype: ${kind}`)
    seen.add(key)
    conflicts(zone, puts, set)
    puts.set(set.name, (puts.get(set.name) ?? new Map<string, RecordSet>()).set(set.type, set))
  }
  return [...puts.values()].flatMap((byType) => [...byType.values()])
}

const parseOne = (zone: Zone, entry: Json): RecordSet => {
  const name = canonicalName(text(entry, "name"))
  const type = text(entry, "type")
  if (!knownTypes.has(type)) fail(`RRset ${name} IN ${type}: unknown type given`)
  const kind = text(entry, "changetype").toUpperCase()
  if (kind === "DELETE") return { name, type, ttl: 0, records: [] }
  if (kind !== "REPLACE") fail("Changetype not understood")
  if (!inside(name, zone.name)) fail(`RRset ${name} IN ${type}: Name is out of zone`)
  if (!Array.isArray(entry.records)) fail(`No change for RRset ${name} IN ${type}`)
  return parseSet(entry, zone.name)
}

/** A CNAME stands alone at its name (RFC 1034 §3.6.2), counting what earlier changes of this request removed or put. */
const conflicts = (zone: Zone, puts: Puts, set: RecordSet): void => {
  if (set.records.length === 0) return
  const here = new Map([...(zone.sets.get(set.name) ?? []), ...(puts.get(set.name) ?? [])])
  const others = [...here.values()].filter((other) => other.type !== set.type && other.records.length > 0)
  if (others.some((other) => set.type === "CNAME" || other.type === "CNAME")) fail(`${label(set)}: Conflicts with pre-existing RRset`)
}
