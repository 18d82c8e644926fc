/**
 * A DNS record as the product speaks of it, and what makes two values the same.
 *
 * Owns: the shape (`host` absolute, lower-case, without trailing dot; TTL in seconds; TXT unquoted; an MX's priority beside its value)
 * and the normal form of a value. Leaves to `libs/dns`: whether an answer matches; to `libs/dns-provider`: changing a zone.
 * Built against: two spellings of one address or target counting as a difference, and a re-write of what is already right.
 */
import { isIPv6 } from "node:net"
import { Schema } from "effect"

export const RecordType = Schema.Literals(["A", "AAAA", "CNAME", "TXT", "MX", "CAA", "NS", "SRV", "ALIAS"])
export type RecordType = typeof RecordType.Type

export const DnsRecord = Schema.Struct({
  host: Schema.String,
  type: RecordType,
  value: Schema.String,
  ttl: Schema.Int,
  priority: Schema.optionalKey(Schema.Int),
  /** False: useful, but going live does not wait for it. Absent means true. */
  required: Schema.optionalKey(Schema.Boolean)
})
export type DnsRecord = typeof DnsRecord.Type

/** All records of one name and type (RFC 2181 §5). MX values carry their priority here: `10 mx.example.com`. */
export const RecordSet = Schema.Struct({ name: Schema.String, type: RecordType, ttl: Schema.Int, values: Schema.Array(Schema.String) })
export type RecordSet = typeof RecordSet.Type

export const defaultTtl = 300

const normaliseName = (name: string): string => (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase()

/** RFC 5952 text form; a mapped address stays IPv6. */
const normaliseIPv6 = (text: string): string => {
  if (!isIPv6(text) || text.includes("%")) return text.toLowerCase()
  return new URL(`http://[${text}]/`).hostname.slice(1, -1)
}

/** `"a" "b"` is the text `ab` (RFC 7208 §3.3 for SPF, and everybody else); text without quotes is itself. */
const unquoteTxt = (text: string): string => {
  const trimmed = text.trim()
  if (!/^"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*$/.test(trimmed)) return text
  return [...trimmed.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((part) => unescapeTxt(part[1]!)).join("")
}

const unescapeTxt = (text: string): string =>
  text.replace(/\\(?:(\d{3})|(.))/g, (_, code, char) => (code === undefined ? char : String.fromCharCode(Number(code))))

/** RFC 8659 §4.1: flags, a tag without case, the value in quotes. */
const normaliseCaa = (text: string): string => {
  const parts = /^\s*(\d+)\s+([A-Za-z0-9]+)\s+(.*?)\s*$/s.exec(text)
  return parts === null ? text.trim() : `${Number(parts[1])} ${parts[2]!.toLowerCase()} "${unquoteTxt(parts[3]!)}"`
}

/** The normal form of a record's value; two values mean the same exactly if their normal forms are equal. Idempotent. */
export const normaliseValue = (type: RecordType, value: string): string => {
  switch (type) {
    case "A":
      return value.trim()
    case "AAAA":
      return normaliseIPv6(value.trim())
    case "CNAME":
    case "NS":
    case "ALIAS":
      return normaliseName(value.trim())
    case "MX":
    case "SRV":
      return normaliseName(value.trim().replace(/\s+/g, " "))
    case "CAA":
      return normaliseCaa(value)
    case "TXT":
      return unquoteTxt(value)
  }
}
