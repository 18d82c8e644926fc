/**
 * The sandbox's DNS data: zones, their record sets, and what exists where.
 *
 * Owns: the tree of names (root, `test.`, the edge's zone, and every zone a user makes), serial numbers, the journal that outlives the
 * process. Leaves to PowerDnsApi what a request may change, to answerQuestion how a name is looked up. Built against a supervisor that
 * kills and restarts the process at any moment: each change is in the journal before its caller is answered.
 *
 * Names are absolute, lower-case, with the trailing dot, as in PowerDNS's API; the root is ".".
 */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs"

export type StoredRecord = { readonly content: string; readonly disabled: boolean }
export type RecordSet = {
  readonly name: string
  readonly type: string
  readonly ttl: number
  readonly records: ReadonlyArray<StoredRecord>
}
export type Zone = {
  readonly name: string
  readonly kind: string
  /** Part of the world around the user's zones: never listed, changed or deleted through the API. */
  readonly builtIn: boolean
  serial: number
  readonly sets: Map<string, Map<string, RecordSet>>
}
type JournalEntry =
  | { readonly op: "zone"; readonly name: string; readonly kind: string; readonly serial: number; readonly sets: ReadonlyArray<RecordSet> }
  | { readonly op: "remove"; readonly name: string }
  | { readonly op: "change"; readonly zone: string; readonly serial: number; readonly sets: ReadonlyArray<RecordSet> }

export const parentOf = (name: string): string => {
  const dot = name.indexOf(".")
  return dot === name.length - 1 ? "." : name.slice(dot + 1)
}

export class ZoneStore {
  readonly zones = new Map<string, Zone>()
  /** How many record sets and zones lie at or below a name: > 0 means the name exists (RFC 8020), if only as an empty non-terminal. */
  readonly #below = new Map<string, number>()
  /** How many NS records point at a name: those without an address of their own are answered with 127.0.0.1. */
  readonly #nameServers = new Map<string, number>()
  readonly #journal: string | undefined

  constructor(options: { readonly journal?: string | undefined } = {}) {
    this.#journal = options.journal
    this.#addBuiltIn(".", [])
    this.#addBuiltIn("test.", [])
    this.#addBuiltIn("connect.test.", [
      { name: "edge.connect.test.", type: "A", ttl: 60, records: [{ content: "127.0.0.1", disabled: false }] }
    ])
    if (this.#journal !== undefined && existsSync(this.#journal)) this.#replay(this.#journal)
  }

  /** Creates a zone holding exactly these sets (SOA and NS among them). The caller has checked that there is none. */
  create(name: string, kind: string, sets: ReadonlyArray<RecordSet>): Zone {
    const zone = this.#insert(name, kind, false, nextSerial(0), sets)
    this.#write({ op: "zone", name, kind, serial: zone.serial, sets: allSets(zone) })
    return zone
  }

  remove(zone: Zone): void {
    this.#discard(zone)
    this.#write({ op: "remove", name: zone.name })
  }

  /** Puts these sets in the place of those of the same name and type; an empty set removes. One change, one serial. */
  change(zone: Zone, sets: ReadonlyArray<RecordSet>): void {
    zone.serial = nextSerial(zone.serial)
    for (const set of sets) this.#put(zone, set)
    this.#stampSerial(zone)
    this.#write({ op: "change", zone: zone.name, serial: zone.serial, sets })
  }

  /** The most specific zone that contains the name. */
  zoneOf(name: string): Zone {
    for (let at = name; ; at = parentOf(at)) {
      const zone = this.zones.get(at)
      if (zone) return zone
    }
  }

  exists(name: string): boolean {
    return this.#below.has(name)
  }

  isNameServer(name: string): boolean {
    return this.#nameServers.has(name)
  }

  #addBuiltIn(name: string, sets: ReadonlyArray<RecordSet>): void {
    const server = name === "." ? "ns.root-servers.test." : `ns.${name}`
    const one = (type: string, ttl: number, content: string): RecordSet => ({ name, type, ttl, records: [{ content, disabled: false }] })
    this.#insert(name, "Native", true, 1, [
      one("SOA", 3600, `${server} hostmaster.${name === "." ? "test." : name} 1 10800 3600 604800 5`),
      one("NS", 3600, server),
      ...sets
    ])
  }

  #insert(name: string, kind: string, builtIn: boolean, serial: number, sets: ReadonlyArray<RecordSet>): Zone {
    const zone: Zone = { name, kind, builtIn, serial, sets: new Map() }
    this.zones.set(name, zone)
    this.#count(name, 1)
    for (const set of sets) this.#put(zone, set)
    this.#stampSerial(zone)
    return zone
  }

  #discard(zone: Zone): void {
    for (const set of allSets(zone)) this.#put(zone, { ...set, records: [] })
    this.zones.delete(zone.name)
    this.#count(zone.name, -1)
  }

  #put(zone: Zone, set: RecordSet): void {
    const byType = zone.sets.get(set.name) ?? new Map<string, RecordSet>()
    const before = byType.get(set.type)
    if (before) {
      byType.delete(set.type)
      if (isServed(before)) this.#count(set.name, -1)
      if (set.type === "NS") for (const { content } of before.records) this.#point(content, -1)
    }
    if (set.records.length > 0) {
      byType.set(set.type, set)
      if (isServed(set)) this.#count(set.name, 1)
      if (set.type === "NS") for (const { content } of set.records) this.#point(content, 1)
    }
    if (byType.size > 0) zone.sets.set(set.name, byType)
    else zone.sets.delete(set.name)
  }

  #point(server: string, by: number): void {
    const name = server.toLowerCase()
    add(this.#nameServers, name, by)
    this.#count(name, by)
  }

  #count(name: string, by: number): void {
    for (let at = name; ; at = parentOf(at)) {
      add(this.#below, at, by)
      if (at === ".") return
    }
  }

  #stampSerial(zone: Zone): void {
    const soa = zone.sets.get(zone.name)?.get("SOA")
    if (!soa) return
    const records = soa.records.map((record) => ({ ...record, content: record.content.replace(/^(\S+ \S+ )\d+/, `$1${zone.serial}`) }))
    zone.sets.get(zone.name)?.set("SOA", { ...soa, records })
  }

  #write(entry: JournalEntry): void {
    if (this.#journal !== undefined) appendFileSync(this.#journal, `${JSON.stringify(entry)}\n`)
  }

  /** Reads the journal up to a line cut short by a kill, then writes it anew: one line for each zone. */
  #replay(path: string): void {
    for (const line of readFileSync(path, "utf8").split("\n").slice(0, -1)) this.#apply(JSON.parse(line))
    const users = [...this.zones.values()].filter((zone) => !zone.builtIn)
    const lines = users.map(
      (zone) => `${JSON.stringify({ op: "zone", name: zone.name, kind: zone.kind, serial: zone.serial, sets: allSets(zone) })}\n`
    )
    writeFileSync(`${path}.new`, lines.join(""))
    renameSync(`${path}.new`, path)
  }

  #apply(entry: JournalEntry): void {
    if (entry.op === "zone") {
      this.#insert(entry.name, entry.kind, false, entry.serial, entry.sets)
      return
    }
    const zone = this.zones.get(entry.op === "remove" ? entry.name : entry.zone)
    if (!zone) return
    if (entry.op === "remove") {
      this.#discard(zone)
      return
    }
    zone.serial = entry.serial
    for (const set of entry.sets) this.#put(zone, set)
    this.#stampSerial(zone)
  }
}

/** A set whose records are all disabled is kept but not in the DNS. */
export const isServed = (set: RecordSet): boolean => set.records.some((record) => !record.disabled)

export const allSets = (zone: Zone): ReadonlyArray<RecordSet> => [...zone.sets.values()].flatMap((byType) => [...byType.values()])

const add = (counts: Map<string, number>, name: string, by: number) => {
  const count = (counts.get(name) ?? 0) + by
  if (count > 0) counts.set(name, count)
  else counts.delete(name)
}

/** PowerDNS's SOA-EDIT-API `DEFAULT`: YYYYMMDDnn, and one more when today's is used up. */
const nextSerial = (serial: number): number =>
  Math.max(serial + 1, Number(`${new Date().toISOString().slice(0, 10).replaceAll("-", "")}01`))
