/**
 * DNS messages as this library speaks of them: a question out, a checked reply back.
 *
 * Owns: encoding a question (EDNS0, RFC 6891), refusing replies that do not belong to it (RFC 5452 §9.1: id and question; the peer's
 * address is the transport's check), and one text form of each record's value. Leaves sockets to `DnsTransport`, meaning to the rest.
 * Built against: an answer of someone else's making, and a TXT value altered by unquoting what never was quoted.
 */
import { normaliseValue, type RecordType } from "@connect-domain/domain/DnsRecord.ts"
import { type Answer, type DecodedPacket, decode, encode, RECURSION_DESIRED } from "dns-packet"

/** Types that can be asked for. ALIAS exists at providers only; SOA, DS and DNSKEY are looked at, never desired. */
export type QueryType = Exclude<RecordType, "ALIAS"> | "SOA" | "DS" | "DNSKEY"
export type Question = { readonly name: string; readonly type: QueryType }
/** Name lower-case without trailing dot, the root `""`; TTL in seconds; value in the normal form of `libs/domain`, TXT exactly as sent. */
export type ResourceRecord = { readonly name: string; readonly type: string; readonly ttl: number; readonly value: string }
export type Reply = {
  readonly rcode: number
  readonly authoritative: boolean
  readonly truncated: boolean
  readonly answers: ReadonlyArray<ResourceRecord>
  readonly authorities: ReadonlyArray<ResourceRecord>
  readonly additionals: ReadonlyArray<ResourceRecord>
}

export const NOERROR = 0
export const NXDOMAIN = 3
export const REFUSED = 5
const rcodeNames = [
  "NOERROR",
  "FORMERR",
  "SERVFAIL",
  "NXDOMAIN",
  "NOTIMP",
  "REFUSED",
  "YXDOMAIN",
  "YXRRSET",
  "NXRRSET",
  "NOTAUTH",
  "NOTZONE"
]
export const rcodeName = (rcode: number): string => rcodeNames[rcode] ?? `RCODE${rcode}`

/** The form in which names are compared: lower-case, no trailing dot, the root as the empty string. */
export const plainName = (name: string): string => {
  const lower = name.toLowerCase()
  return lower.endsWith(".") ? lower.slice(0, -1) : lower
}
export const isWithin = (name: string, zone: string): boolean => zone === "" || name === zone || name.endsWith(`.${zone}`)
/** The name without its first label; the root's parent is the root. */
export const parentName = (name: string): string => {
  const dot = name.indexOf(".")
  return dot < 0 ? "" : name.slice(dot + 1)
}

/** Larger answers come truncated and are asked for again by TCP (DNS flag day 2020). */
const udpPayloadSize = 1232

export type QueryOptions = { readonly edns: boolean; readonly recursive?: boolean }

export const encodeQuery = (id: number, question: Question, options: QueryOptions): Buffer =>
  encode({
    type: "query",
    id,
    flags: options.recursive === true ? RECURSION_DESIRED : 0,
    questions: [{ name: question.name === "" ? "." : question.name, type: question.type, class: "IN" }],
    additionals: options.edns
      ? [{ type: "OPT", name: ".", udpPayloadSize, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }]
      : []
  })

/** The reply, or undefined when the bytes are not an answer to this question with this id. */
export const decodeReply = (bytes: Buffer, id: number, question: Question): Reply | undefined => {
  let packet: DecodedPacket
  try {
    packet = decode(bytes)
  } catch {
    return undefined
  }
  const asked = packet.questions?.[0]
  if (packet.id !== id || packet.type !== "response" || (((packet.flags ?? 0) >> 11) & 15) !== 0) return undefined
  const rcode = (packet.flags ?? 0) & 15
  // A server that could not read the question may leave it out (RFC 1035 §4.1.1 FORMERR).
  const same = asked === undefined ? rcode === 1 : plainName(asked.name) === question.name && asked.type === question.type
  if (!same) return undefined
  return {
    rcode,
    authoritative: packet.flag_aa,
    truncated: packet.flag_tc,
    answers: toRecords(packet.answers),
    authorities: toRecords(packet.authorities),
    additionals: toRecords(packet.additionals)
  }
}

const toRecords = (answers: ReadonlyArray<Answer> | undefined): ReadonlyArray<ResourceRecord> =>
  (answers ?? []).flatMap((answer) => {
    if (answer.type === "OPT") return []
    const value = valueText(answer)
    return value === undefined
      ? []
      : [{ name: plainName(answer.name), type: answer.type, ttl: "ttl" in answer ? (answer.ttl ?? 0) : 0, value }]
  })

const valueText = (answer: Answer): string | undefined => {
  switch (answer.type) {
    case "A":
    case "AAAA":
    case "CNAME":
    case "NS":
      return normaliseValue(answer.type, answer.data)
    case "TXT":
      return Buffer.concat([answer.data].flat().map((part) => Buffer.from(part as string))).toString("utf8")
    case "MX":
      return normaliseValue("MX", `${answer.data.preference ?? 0} ${answer.data.exchange}`)
    case "SRV":
      return normaliseValue("SRV", `${answer.data.priority ?? 0} ${answer.data.weight ?? 0} ${answer.data.port} ${answer.data.target}`)
    case "CAA":
      return `${answer.data.flags ?? 0} ${answer.data.tag.toLowerCase()} "${answer.data.value}"`
    case "SOA":
      return `${plainName(answer.data.mname)} ${answer.data.serial ?? 0} ${answer.data.minimum ?? 0}`
    case "DS":
    case "DNSKEY":
      return answer.type
    default:
      return undefined
  }
}
