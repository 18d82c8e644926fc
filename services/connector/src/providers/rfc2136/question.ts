/** Plain questions to the primary server, and its answers as record sets. */
import { normalise, type RecordSet } from "@connect-domain/dns-provider/RecordSet.ts"
import { type Answer, decode, encode } from "dns-packet"

export const questionTypes = ["ANY", "A", "AAAA", "CNAME", "TXT", "MX", "CAA", "NS", "SRV"] as const

export const encodeQuestion = (id: number, name: string, type: (typeof questionTypes)[number] | "SOA"): Buffer =>
  encode({ type: "query", id, flags: 0, questions: [{ name, type: type as "A", class: "IN" }] })

const plain = (name: string): string => name.toLowerCase().replace(/\.$/, "")

/** Is the server the zone's own, and does the zone begin at this name? */
export const holdsZone = (answer: Buffer, name: string): boolean => {
  const packet = decode(answer)
  return packet.flag_aa && (packet.answers ?? []).some((record) => record.type === "SOA" && plain(record.name) === name)
}

/** Types that the server makes by itself when it signs a zone; and pseudo types. */
const serverMade: ReadonlySet<string> = new Set(["RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TSIG", "OPT"])

export const recordSets = (answers: ReadonlyArray<{ readonly name: string; readonly answer: Buffer }>): ReadonlyArray<RecordSet> => {
  const sets = new Map<string, { name: string; type: string; ttl: number; values: Set<string> }>()
  for (const { name, answer } of answers) {
    for (const record of decode(answer).answers ?? []) {
      if (plain(record.name) !== name || serverMade.has(record.type) || !("ttl" in record)) continue
      const key = `${name} ${record.type}`
      const set = sets.get(key) ?? { name, type: record.type, ttl: record.ttl ?? 0, values: new Set() }
      sets.set(key, set)
      set.values.add(valueText(record))
    }
  }
  return [...sets.values()].map((set) => ({ ...set, values: [...set.values] }))
}

const valueText = (record: Answer): string => {
  switch (record.type) {
    case "TXT":
      return Buffer.concat([record.data].flat().map((part) => Buffer.from(part as string))).toString("utf8")
    case "MX":
      return normalise("MX", `${record.data.preference ?? 0} ${record.data.exchange}`)
    case "SRV":
      return normalise("SRV", `${record.data.priority ?? 0} ${record.data.weight ?? 0} ${record.data.port} ${record.data.target}`)
    case "CAA":
      return normalise("CAA", `${record.data.flags ?? 0} ${record.data.tag} "${record.data.value}"`)
    case "SOA":
      return `${record.data.mname} ${record.data.serial}`
    default: {
      const data: unknown = "data" in record ? record.data : undefined
      if (typeof data === "string") return normalise(record.type, data)
      return `\\# ${Buffer.isBuffer(data) ? data.toString("hex") : JSON.stringify(data)}`
    }
  }
}
