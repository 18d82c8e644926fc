/**
 * Reads the field list of an HTTP/2 request into the form that requests have here (requirements E1, E3; RFC 9113 §8).
 *
 * Owns: the verdict on a list of fields, and writing them as HTTP/1 lines. Leaves to the codec: frames and HPACK. Built against: an HTTP/2 request
 * that becomes two HTTP/1 requests at the origin (CR, LF or colon smuggled in a field), and two hosts in one request.
 */
import { Field, requestField } from "../http1/fieldNames.ts"
import { isToken, parseContentLength } from "../http1/fields.ts"
import { type HostAndPort, readHostAndPort } from "../http1/HostNames.ts"
import { lowerMaxForwards } from "../http1/maxForwards.ts"
import { isRefusal, type Refusal, refuse } from "../http1/Refusal.ts"
import { loopName, methodForm, type RequestHead } from "../http1/requestHead.ts"
import { Spellings } from "../http1/Spellings.ts"
import { checkOriginForm } from "../http1/target.ts"
import { readTrailers } from "../http1/trailers.ts"

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

const foreignInValue = /[\x00-\x08\x0a-\x1f\x7f]/
/** Not what `trim` takes: in latin1 the last byte of a UTF-8 letter may be its no-break space. */
const isSpace = (code: number): boolean => code === 32 || code === 9
const upperCase = /[A-Z]/
const connectionSpecific = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"])

interface Draft {
  method: string | undefined
  scheme: string | undefined
  authority: string | undefined
  path: string | undefined
  protocol: string | undefined
  host: string | undefined
  length: string | undefined
  cookie: string
  accept: string
  expect: string
  hops: number
  kept: string
}

/** Each field by its name: one function for all of them would be the slowest look-up that V8 has. */
const takePseudo = (name: string, value: string, draft: Draft): Refusal | undefined => {
  switch (name) {
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
      draft.authority = value
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

/** What HTTP/2 adds to the meanings of names: those that it forbids, or writes differently. */
const Name = { ...Field, UpperCase: 100, NoToken: 101, ConnectionSpecific: 102, Te: 103, Cookie: 104 } as const

const classify = (name: string): number => {
  if (upperCase.test(name)) return Name.UpperCase
  if (!isToken(name, 0, name.length)) return Name.NoToken
  if (connectionSpecific.has(name)) return Name.ConnectionSpecific
  return name === "te" ? Name.Te : name === "cookie" ? Name.Cookie : requestField(name)
}

/** Clients use few names, and HPACK gives the same strings again. */
const names = new Spellings<number>(4096, classify)

const takeField = (name: string, value: string, draft: Draft): Refusal | undefined => {
  switch (names.meaningOf(name)) {
    case Name.Pass:
      break
    case Name.UpperCase:
      return refuse(400, "field-upper-case") // RFC 9113 §8.2.1
    case Name.NoToken:
      return refuse(400, "field-name")
    case Name.ConnectionSpecific:
      return refuse(400, "connection-specific") // RFC 9113 §8.2.2
    case Name.Te:
      return value === "trailers" ? undefined : refuse(400, "te")
    case Name.Cookie:
      draft.cookie += draft.cookie === "" ? value : `; ${value}` // RFC 9113 §8.2.3
      return undefined
    case Field.Host:
      if (draft.host !== undefined) return refuse(400, "host-twice")
      draft.host = value
      return undefined
    case Field.ContentLength:
      if (draft.length !== undefined) return refuse(400, "length-twice")
      draft.length = value
      return undefined
    case Field.Expect:
      draft.expect = value.toLowerCase()
      return value.toLowerCase() === "100-continue" ? undefined : refuse(417, "expectation")
    case Field.Twin:
      return refuse(400, "framing-twin")
    case Field.Accept:
      draft.accept = value
      break
    case Field.Loop:
      draft.hops += value.toLowerCase().split(loopName).length - 1
      break
    default:
      return undefined
  }
  draft.kept += `${name}: ${value}\r\n`
  return undefined
}

const takeFields = (fields: ReadonlyArray<string>, draft: Draft): Refusal | undefined => {
  let regular = false
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    const value = fields[at + 1]!
    // RFC 9113 §8.2.1: no NUL, CR, LF, and no white space around it.
    if (foreignInValue.test(value) || isSpace(value.charCodeAt(0)) || isSpace(value.charCodeAt(value.length - 1)))
      return refuse(400, "field-value")
    if (name.charCodeAt(0) === 58) {
      if (regular) return refuse(400, "pseudo-after-field")
      const refusal = takePseudo(name, value, draft)
      if (refusal !== undefined) return refusal
      continue
    }
    regular = true
    const refusal = takeField(name, value, draft)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

/** RFC 9113 §8.3.1: `:authority`, and a Host that says the same if there is one. */
const readHost = (draft: Draft): HostAndPort | Refusal => {
  const text = draft.authority ?? draft.host
  if (text === undefined) return refuse(400, "host-missing")
  const host = readHostAndPort(text)
  if (host === undefined) return refuse(400, "host")
  if (draft.host === undefined || draft.host === text) return host
  const other = readHostAndPort(draft.host)
  return other !== undefined && other.host === host.host && other.port === host.port ? host : refuse(400, "authority-host-differ")
}

const readPath = (path: string, verb: string): Refusal | undefined => {
  if (path === "*") return verb === "OPTIONS" ? undefined : refuse(400, "asterisk-target")
  return path.startsWith("/") ? checkOriginForm(path) : refuse(400, "target-form")
}

const checkPseudo = (draft: Draft): Refusal | undefined => {
  const { method: verb, path, protocol, scheme } = draft
  if (verb === undefined) return refuse(400, "pseudo-missing")
  if (!isToken(verb, 0, verb.length)) return refuse(400, "method")
  const extended = verb === "CONNECT" && protocol !== undefined // RFC 8441
  if (protocol !== undefined && !extended) return refuse(400, "pseudo-unknown")
  if (extended && protocol !== "websocket") return refuse(501, "protocol-unknown")
  if ((verb === "CONNECT" && !extended) || verb === "TRACE") return refuse(405, "method-refused")
  if (!methodForm.test(verb)) return refuse(501, "method-unknown")
  if (path === undefined || scheme === undefined) return refuse(400, "pseudo-missing")
  return scheme === "https" ? readPath(path, verb) : refuse(400, "scheme")
}

/** `fields`: name, value, name, value … as the codec decoded them. `ended`: no body follows. */
export const readHttp2Fields = (fields: ReadonlyArray<string>, ended: boolean): RequestHead | Refusal => {
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
export const readHttp2Trailers = (fields: ReadonlyArray<string>): string | undefined => {
  let lines = ""
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.startsWith(":") || foreignInValue.test(fields[at + 1]!)) return undefined
    lines += `${fields[at]}: ${fields[at + 1]}\r\n`
  }
  const kept = readTrailers(`${lines}\r\n`)
  return typeof kept === "string" ? kept : undefined
}
