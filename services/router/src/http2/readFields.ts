/**
 * Reads the field list of an HTTP/2 request into the form that requests have here (requirements E1, E3; RFC 9113 §8).
 *
 * Owns: the verdict on a list of fields, and writing them as HTTP/1 lines. Leaves to the codec: frames and HPACK. Built against: an HTTP/2 request
 * that becomes two HTTP/1 requests at the origin (CR, LF or colon smuggled in a field), and two hosts in one request.
 */
import { parseContentLength } from "../http1/fields.ts"
import type { HostAndPort } from "../http1/HostNames.ts"
import { lowerMaxForwards } from "../http1/maxForwards.ts"
import { readMethod } from "../http1/method.ts"
import { isRefusal, type Refusal, refuse } from "../http1/Refusal.ts"
import { loopName, type RequestHead } from "../http1/requestHead.ts"
import { checkOriginForm } from "../http1/target.ts"
import { readTrailers } from "../http1/trailers.ts"
import { type HeaderField, isSpace, Kind } from "./HeaderField.ts"

/**
 * What makes a request malformed by RFC 9113 §8.1.1, a stream error. Other refusals are about a URL, a host or a method, which a visitor of a
 * working client may ask for: those end with their answer.
 */
const malformed: ReadonlySet<string> = new Set([
  ...["pseudo-unknown", "pseudo-twice", "pseudo-after-field", "pseudo-missing", "method", "target-form", "asterisk-target"], // §8.3
  ...["field-upper-case", "field-name", "field-value", "connection-specific", "te"], // §8.2
  ...["length-without-body", "content-length", "length-twice"] // §8.1.1
])
export const isMalformed = (refusal: Refusal): boolean => malformed.has(refusal.code)

interface Draft {
  method: string | undefined
  scheme: string | undefined
  authority: HeaderField | undefined
  path: string | undefined
  protocol: string | undefined
  host: HeaderField | undefined
  length: string | undefined
  cookie: string
  accept: string
  expect: string
  hops: number
  kept: string
}

/** Each field by its name: one function for all of them would be the slowest look-up that V8 has. */
const takePseudo = (field: HeaderField, draft: Draft): Refusal | undefined => {
  const { value } = field
  switch (field.name) {
    case ":method":
      if (draft.method !== undefined) return refuse(400, "pseudo-twice")
      draft.method = value
      return undefined
    case ":scheme":
      if (draft.scheme !== undefined) return refuse(400, "pseudo-twice")
      draft.scheme = value
      return undefined
    case ":authority":
      if (draft.authority !== undefined) return refuse(400, "pseudo-twice")
      draft.authority = field
      return undefined
    case ":path":
      if (draft.path !== undefined) return refuse(400, "pseudo-twice")
      draft.path = value
      return undefined
    case ":protocol":
      if (draft.protocol !== undefined) return refuse(400, "pseudo-twice")
      draft.protocol = value
      return undefined
    default:
      return refuse(400, "pseudo-unknown")
  }
}

const takeField = (field: HeaderField, draft: Draft): Refusal | undefined => {
  const { value } = field
  switch (field.kind) {
    case Kind.Pass:
      break
    case Kind.UpperCase:
      return refuse(400, "field-upper-case") // RFC 9113 §8.2.1
    case Kind.NoToken:
      return refuse(400, "field-name")
    case Kind.ConnectionSpecific:
      return refuse(400, "connection-specific") // RFC 9113 §8.2.2
    case Kind.Te:
      return value === "trailers" ? undefined : refuse(400, "te")
    case Kind.Cookie:
      draft.cookie += draft.cookie === "" ? value : `; ${value}` // RFC 9113 §8.2.3
      return undefined
    case Kind.Host:
      if (draft.host !== undefined) return refuse(400, "host-twice")
      draft.host = field
      return undefined
    case Kind.ContentLength:
      if (draft.length !== undefined) return refuse(400, "length-twice")
      draft.length = value
      return undefined
    case Kind.Expect:
      draft.expect = value.toLowerCase()
      return value.toLowerCase() === "100-continue" ? undefined : refuse(417, "expectation")
    case Kind.Twin:
      return refuse(400, "framing-twin")
    case Kind.Accept:
      draft.accept = value
      break
    case Kind.Loop:
      draft.hops += value.toLowerCase().split(loopName).length - 1
      break
    default:
      return undefined
  }
  draft.kept += field.line
  return undefined
}

const takeFields = (fields: ReadonlyArray<HeaderField>, draft: Draft): Refusal | undefined => {
  let regular = false
  for (const field of fields) {
    if (field.kind === Kind.BadValue) return refuse(400, "field-value")
    const pseudo = field.kind === Kind.Pseudo
    if (pseudo && regular) return refuse(400, "pseudo-after-field")
    if (!pseudo) regular = true
    const refusal = pseudo ? takePseudo(field, draft) : takeField(field, draft)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

/** RFC 9113 §8.3.1: `:authority`, and a Host that says the same if there is one. */
const readHost = ({ authority, host: field }: Draft): HostAndPort | Refusal => {
  const named = authority ?? field
  if (named === undefined) return refuse(400, "host-missing")
  const { host } = named
  if (host === undefined) return refuse(400, "host")
  if (field === undefined || field.value === named.value) return host
  return field.host?.host === host.host && field.host.port === host.port ? host : refuse(400, "authority-host-differ")
}

const readPath = (path: string, verb: string): Refusal | undefined => {
  if (path === "*") return verb === "OPTIONS" ? undefined : refuse(400, "asterisk-target")
  return path.startsWith("/") ? checkOriginForm(path) : refuse(400, "target-form")
}

const checkPseudo = (draft: Draft): Refusal | undefined => {
  const { method: verb, path, protocol, scheme } = draft
  if (verb === undefined) return refuse(400, "pseudo-missing")
  const extended = verb === "CONNECT" && protocol !== undefined // RFC 8441
  if (protocol !== undefined && !extended) return refuse(400, "pseudo-unknown")
  if (extended && protocol !== "websocket") return refuse(501, "protocol-unknown")
  const method = extended ? verb : readMethod(verb)
  if (typeof method !== "string") return method
  if (path === undefined || scheme === undefined) return refuse(400, "pseudo-missing")
  return scheme === "https" ? readPath(path, verb) : refuse(400, "scheme")
}

/** `fields`: as the codec decoded them. `ended`: no body follows. */
export const readHttp2Fields = (fields: ReadonlyArray<HeaderField>, ended: boolean): RequestHead | Refusal => {
  const draft: Draft = {
    method: undefined,
    scheme: undefined,
    authority: undefined,
    path: undefined,
    protocol: undefined,
    host: undefined,
    length: undefined,
    cookie: "",
    accept: "",
    expect: "",
    hops: 0,
    kept: ""
  }
  const refusal = takeFields(fields, draft) ?? checkPseudo(draft)
  if (refusal !== undefined) return refusal
  const host = readHost(draft)
  if ("refused" in host) return host
  const length = draft.length === undefined ? -1 : parseContentLength(draft.length)
  if (length === undefined) return refuse(400, "content-length")
  if (ended && length > 0) return refuse(400, "length-without-body") // RFC 9113 §8.1.1: malformed
  const limited = draft.method === "OPTIONS" ? lowerMaxForwards(draft.kept) : undefined
  if (isRefusal(limited)) return limited
  const kept = limited?.kept ?? draft.kept
  const websocket = draft.protocol !== undefined
  return {
    method: websocket ? "GET" : draft.method!,
    target: draft.path!,
    minor: 1,
    host: host.host,
    port: host.port,
    kept: draft.cookie === "" ? kept : `${kept}cookie: ${draft.cookie}\r\n`,
    chunked: !ended && length < 0 && !websocket,
    length: websocket ? -1 : length,
    close: false,
    expectContinue: draft.expect !== "" && !ended && length !== 0,
    websocket,
    accept: draft.accept,
    hops: draft.hops,
    lastHop: limited?.lastHop === true
  }
}

const withoutSpace = (value: string): string => {
  let [at, end] = [0, value.length]
  while (at < end && isSpace(value.charCodeAt(at))) at++
  while (end > at && isSpace(value.charCodeAt(end - 1))) end--
  return value.slice(at, end)
}

/** HTTP/1 field lines to lower-case names and values, flat. */
export const linesToFields = (lines: string): Array<string> => {
  const fields: Array<string> = []
  let at = 0
  while (at < lines.length) {
    const end = lines.indexOf("\r\n", at)
    const colon = lines.indexOf(":", at)
    fields.push(lines.slice(at, colon).toLowerCase(), withoutSpace(lines.slice(colon + 1, end)))
    at = end + 2
  }
  return fields
}

/** Trailer fields as lines that may be passed on; undefined when they are malformed (RFC 9113 §8.1). */
export const readHttp2Trailers = (fields: ReadonlyArray<HeaderField>): string | undefined => {
  let lines = ""
  for (const field of fields) {
    if (field.kind === Kind.Pseudo || field.kind === Kind.BadValue) return undefined
    lines += field.line
  }
  const kept = readTrailers(`${lines}\r\n`)
  return typeof kept === "string" ? kept : undefined
}
