/**
 * What the edge does with a field of a given name, as a table.
 *
 * Owns: which fields end here, which are written anew, which pass. Leaves to `requestHead.ts` and `responseHead.ts`: doing it.
 * Built against: a framing or trust field that survives under a spelling (`Content_Length`, `X_Forwarded_For`) that the origin maps back.
 */
import { Spellings } from "./Spellings.ts"

/** What a name means to the edge. `Pass`: an ordinary field, forwarded untouched. */
export const Field = {
  Pass: 0,
  /** Removed and never forwarded: hop-by-hop, or ours to write. */
  Drop: 1,
  Host: 2,
  ContentLength: 3,
  TransferEncoding: 4,
  Connection: 5,
  Upgrade: 6,
  Expect: 7,
  Accept: 8,
  Loop: 9,
  KeepAlive: 10,
  /** A framing field under another spelling: the message is refused. */
  Twin: 11
} as const
export type Field = (typeof Field)[keyof typeof Field]

const named = new Map<string, Field>([
  ["host", Field.Host],
  ["content-length", Field.ContentLength],
  ["transfer-encoding", Field.TransferEncoding],
  ["connection", Field.Connection],
  ["upgrade", Field.Upgrade],
  ["expect", Field.Expect],
  ["accept", Field.Accept],
  ["cdn-loop", Field.Loop],
  ["keep-alive", Field.KeepAlive],
  // RFC 9110 §7.6.1 and RFC 9113 §8.2.2: connection-specific, for this hop only.
  ["te", Field.Drop],
  ["trailer", Field.Drop],
  ["http2-settings", Field.Drop],
  ["proxy", Field.Drop],
  // Ours: written anew from what the edge itself saw (E6).
  ["forwarded", Field.Drop],
  ["x-real-ip", Field.Drop]
])

const maxLength = 64

/** For each length of a name, as bits, the first letters of those names that mean something. */
const firstLetters = (names: Iterable<string>, prefixes: ReadonlyArray<string>): Uint32Array => {
  const table = new Uint32Array(maxLength)
  const mark = (length: number, name: string) => {
    table[length]! |= 1 << (name.charCodeAt(0) - 97)
  }
  for (const name of names) mark(name.length, name)
  for (const prefix of prefixes) for (let length = prefix.length; length < maxLength; length++) mark(length, prefix)
  return table
}

/** Whether a name can only be an ordinary one, by length and first byte alone. `kinds` comes with the line (`fields.ts`): 1 is nothing odd. */
const isOrdinary = (table: Uint32Array, first: number, length: number, kinds: number): boolean => {
  const letter = (first | 32) - 97
  return kinds === 1 && length < maxLength && letter >= 0 && letter < 26 && (table[length]! & (1 << letter)) === 0
}

/** A framing field that an origin could read out of an odd spelling (E1). */
const framing = new Set(["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"])
const prefixes = ["x-forwarded-", "x-cd-", "proxy-"]
const isOurs = (lower: string) => prefixes.some((prefix) => lower.startsWith(prefix))

const odd = /[^a-z0-9-]/
const classify = (lower: string): Field => {
  const known = named.get(lower)
  if (known !== undefined) return known
  if (isOurs(lower)) return Field.Drop
  if (!odd.test(lower)) return Field.Pass
  const plain = lower.replace(/[^a-z0-9]/g, "-")
  if (framing.has(plain)) return Field.Twin
  return named.get(plain) === Field.Drop || isOurs(plain) ? Field.Drop : Field.Pass
}

/** Of each kind: clients and origins use few. */
const spellings = 4096
const ofRequests = new Spellings<Field>(spellings, (name) => classify(name.toLowerCase()))

/** What a request field of this name means. */
export const requestField = (name: string): Field => ofRequests.meaningOf(name)

const requestLetters = firstLetters(named.keys(), prefixes)

/** As `requestField`, of a scanned line. */
export const requestFieldAt = (text: string, start: number, end: number, kinds: number): Field =>
  isOrdinary(requestLetters, text.charCodeAt(start), end - start, kinds) ? Field.Pass : requestField(text.slice(start, end))

const responseNames = new Map<string, Field>([
  ["content-length", Field.ContentLength],
  ["transfer-encoding", Field.TransferEncoding],
  ["connection", Field.Connection],
  ["keep-alive", Field.KeepAlive],
  ["upgrade", Field.Upgrade],
  ["proxy-connection", Field.Drop],
  ["proxy-authenticate", Field.Drop],
  ["proxy-authentication-info", Field.Drop],
  ["te", Field.Drop],
  ["trailer", Field.Drop],
  ["http2-settings", Field.Drop]
])

const ofResponses = new Spellings<Field>(spellings, (name) => responseNames.get(name.toLowerCase()) ?? Field.Pass)

const responseLetters = firstLetters(responseNames.keys(), [])

/** The spellings that nearly all origins use, by length: compared in place, which needs no string and no hash of one. */
const usual: ReadonlyArray<readonly [Buffer, Field] | undefined> = Array.from({ length: 15 }, (_, length) =>
  length === 10
    ? [Buffer.from("Connection"), Field.Connection]
    : length === 14
      ? [Buffer.from("Content-Length"), Field.ContentLength]
      : undefined
)

/** Whether these bytes are there, to the letter. */
export const isAt = (bytes: Buffer, start: number, wanted: Buffer): boolean => {
  for (let at = 0; at < wanted.length; at++) if (bytes[start + at] !== wanted[at]) return false
  return true
}

/** What a response field means, of a scanned line. */
export const responseFieldAt = (bytes: Buffer, start: number, end: number, kinds: number): Field => {
  if (isOrdinary(responseLetters, bytes[start]!, end - start, kinds)) return Field.Pass
  const likely = usual[end - start]
  return likely !== undefined && isAt(bytes, start, likely[0]) ? likely[1] : ofResponses.meaningOf(bytes.toString("latin1", start, end))
}

/** RFC 9110 §6.5.1: fields that a trailer section must not carry are those for framing, routing, authentication, and those that say how to read the body. */
const notInTrailers = new Set([
  ...["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive", "http2-settings"],
  ...["authorization", "cookie", "set-cookie", "www-authenticate", "age", "cache-control", "expires", "date", "location", "vary"],
  ...["content-encoding", "content-type", "content-range", "max-forwards", "range", "forwarded", "x-real-ip", "cdn-loop", "proxy"]
])

/** `forbidden`: the message is refused. `drop`: not forwarded. */
export const trailerField = (name: string): "pass" | "drop" | "forbidden" => {
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, "-")
  if (framing.has(plain)) return "forbidden"
  return notInTrailers.has(plain) || isOurs(plain) ? "drop" : "pass"
}
