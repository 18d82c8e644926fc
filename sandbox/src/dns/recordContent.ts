/**
 * Record contents: between the text of PowerDNS's API (and of zone files) and what `dns-packet` puts on the wire.
 *
 * Owns: which text is well-formed for A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV and TXT, and its canonical spelling. Leaves to ZoneStore
 * what a set of records may hold. Built against a sandbox that accepts what a real server refuses: a provider tested against it would then
 * fail at the customer's.
 */
import { isIPv4, isIPv6 } from "node:net"

/** `expected digits …`: the server could not read the content; `notCanonical`: it could, and would have written it so. */
export type ContentProblem =
  | { readonly kind: "unreadable"; readonly detail: string }
  | { readonly kind: "notCanonical"; readonly canonical: string }

export const knownTypes: ReadonlySet<string> = new Set(["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"])

const isAbsolute = (name: string) => name === "." || /^(?:[^.\s"\\]{1,63}\.)+$/.test(name)
const unreadable = (detail: string): ContentProblem => ({ kind: "unreadable", detail })
const digits = (content: string) => unreadable(`expected digits at position 0 in '${content}'`)

const checkName = (name: string, rewritten: (absolute: string) => string): ContentProblem | undefined => {
  if (isAbsolute(name)) return undefined
  return isAbsolute(`${name}.`)
    ? { kind: "notCanonical", canonical: rewritten(`${name}.`) }
    : unreadable(`unable to parse DNS name '${name}'`)
}

const checkNumbered = (content: string, numbers: number): ContentProblem | undefined => {
  const words = content.trim().split(/\s+/)
  const target = words.at(-1) ?? ""
  if (words.length !== numbers + 1 || !words.slice(0, numbers).every((word) => /^\d{1,5}$/.test(word) && Number(word) <= 65535))
    return digits(content)
  return checkName(target, (absolute) => [...words.slice(0, numbers), absolute].join(" "))
}

const quoted = /^"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*$/s
const soa = /^(\S+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$/
const caa = /^(\d{1,3}) ([a-zA-Z0-9]+) "((?:[^"\\]|\\.)*)"$/

/** What a real PowerDNS 4.7 would have against this content; `undefined` if nothing. */
export const checkContent = (type: string, content: string): ContentProblem | undefined => {
  switch (type) {
    case "A":
      return isIPv4(content) ? undefined : unreadable("unable to parse IP address")
    case "AAAA":
      return isIPv6(content) ? undefined : unreadable("unable to parse IPv6 address")
    case "CNAME":
    case "NS":
    case "PTR":
      return checkName(content, (absolute) => absolute)
    case "MX":
      return checkNumbered(content, 1)
    case "SRV":
      return checkNumbered(content, 3)
    case "TXT":
      return quoted.test(content) ? undefined : { kind: "notCanonical", canonical: `"${content}"` }
    case "CAA":
      return caa.test(content) ? undefined : digits(content)
    default:
      return soa.test(content) ? undefined : digits(content)
  }
}

/** RFC 1035 §5.1: `\"`, `\\` and `\DDD` inside quotes; each quoted string is one character-string of the record. */
const textStrings = (content: string): ReadonlyArray<Buffer> =>
  (content.match(/"(?:[^"\\]|\\.)*"/gs) ?? []).flatMap((string) => {
    const bytes: Array<number> = []
    const inner = string.slice(1, -1)
    for (let at = 0; at < inner.length; ) {
      const escaped = inner[at] === "\\"
      const code = escaped ? /^\d{3}/.exec(inner.slice(at + 1)) : undefined
      if (code) bytes.push(Number(code[0]) & 255)
      else bytes.push(...Buffer.from(String.fromCodePoint(inner.codePointAt(escaped ? at + 1 : at) ?? 0)))
      at += code ? 4 : (escaped ? 1 : 0) + String.fromCodePoint(inner.codePointAt(escaped ? at + 1 : at) ?? 0).length
    }
    return chunksOf255(Buffer.from(bytes))
  })

const chunksOf255 = (bytes: Buffer): ReadonlyArray<Buffer> =>
  bytes.length <= 255 ? [bytes] : [bytes.subarray(0, 255), ...chunksOf255(bytes.subarray(255))]

/** The `data` field of a dns-packet answer. Contents have passed `checkContent`. */
export const toWire = (type: string, content: string): unknown => {
  const words = content.trim().split(/\s+/)
  switch (type) {
    case "MX":
      return { preference: Number(words[0]), exchange: words[1] }
    case "SRV":
      return { priority: Number(words[0]), weight: Number(words[1]), port: Number(words[2]), target: words[3] }
    case "TXT":
      return textStrings(content)
    case "CAA": {
      const [, flags, tag, value] = caa.exec(content) ?? []
      return { flags: Number(flags), tag, value: (value ?? "").replace(/\\(.)/g, "$1") }
    }
    case "SOA": {
      const [mname, rname, serial, refresh, retry, expire, minimum] = words
      return { mname, rname, serial: +serial!, refresh: +refresh!, retry: +retry!, expire: +expire!, minimum: +minimum! }
    }
    default:
      return content
  }
}
