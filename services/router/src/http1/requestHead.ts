/**
 * Reads the head of an HTTP/1 request, strictly, in one pass (requirements E1, E2, E6; RFC 9112).
 *
 * Owns: the verdict on a head, and which of its lines may be forwarded untouched. Leaves to `readTarget`: targets; to `forwardHead.ts`: what is
 * written anew. Built against: request smuggling. Where the RFCs let a recipient repair or refuse, this refuses; a head that passes here is read
 * the same way by nginx and haproxy.
 */
import { Field, requestFieldAt } from "./fieldNames.ts"
import { findForeignByte, isToken, lines, parseContentLength, readOptions, scanFields, stride, withoutNamed } from "./fields.ts"
import { type HostAndPort, readHostAndPort } from "./HostNames.ts"
import { lowerMaxForwards } from "./maxForwards.ts"
import { readMethod } from "./method.ts"
import { isRefusal, type Refusal, refuse } from "./Refusal.ts"
import { checkOriginForm, readTarget } from "./target.ts"

export interface RequestHead {
  readonly method: string
  /** Origin-form or `*`. */
  readonly target: string
  /** HTTP/1.0 or HTTP/1.1; a higher minor version counts as 1 (RFC 9110 §2.5). */
  readonly minor: 0 | 1
  /** Canonical name of Host. */
  readonly host: string
  /** Port of Host, or "". */
  readonly port: string
  /** Field lines that pass untouched, each with its CRLF. */
  readonly kept: string
  readonly chunked: boolean
  /** Content-Length; -1 when the head has none. */
  readonly length: number
  /** The client does not want the connection kept, or it can't be (HTTP/1.0). */
  readonly close: boolean
  readonly expectContinue: boolean
  /** The client asks for WebSocket. */
  readonly websocket: boolean
  readonly accept: string
  /** How often this kind of edge already stands in CDN-Loop (RFC 8586). */
  readonly hops: number
  /** An OPTIONS that may go no further. */
  readonly lastHop: boolean
}

/** Our name in CDN-Loop. */
export const loopName = "connect-domain"

const noScan = { trimBeforeColon: false }
const requestLine = /^([^ ]+) ([^ ]+) HTTP\/([0-9])\.([0-9])$/

interface Draft {
  host: string | undefined
  length: string | undefined
  encoding: string | undefined
  connection: string
  upgrade: string
  expect: string
  accept: string
  hops: number
  kept: string
}

const count = (text: string, word: string) => text.toLowerCase().split(word).length - 1

/** Takes in one field that is not merely passed on. */
const takeField = (field: Field, value: string, draft: Draft): Refusal | undefined => {
  switch (field) {
    case Field.Host:
      if (draft.host !== undefined) return refuse(400, "host-twice")
      draft.host = value
      return undefined
    case Field.ContentLength:
      if (draft.length !== undefined) return refuse(400, "length-twice")
      draft.length = value
      return undefined
    case Field.TransferEncoding:
      if (draft.encoding !== undefined) return refuse(400, "encoding-twice")
      draft.encoding = value
      return undefined
    case Field.Connection:
      draft.connection += draft.connection === "" ? value : `,${value}`
      return undefined
    case Field.Upgrade:
      draft.upgrade += draft.upgrade === "" ? value : `,${value}`
      return undefined
    case Field.Expect:
      if (draft.expect !== "") return refuse(417, "expectation")
      draft.expect = value.toLowerCase()
      return undefined
    case Field.Twin:
      return refuse(400, "framing-twin")
    default:
      return undefined
  }
}

/** Fields of the scanned lines into the draft; runs of passing lines are taken over as they stand. */
const takeLines = (text: string, found: number, draft: Draft): Refusal | undefined => {
  let run = found === 0 ? 0 : lines[0]!
  for (let slot = 0; slot < found * stride; slot += stride) {
    const start = lines[slot]!
    const field = requestFieldAt(text, start, lines[slot + 1]!, lines[slot + 5]!)
    if (field === Field.Pass) continue
    const value = text.slice(lines[slot + 2]!, lines[slot + 3]!)
    if (field === Field.Accept) draft.accept = draft.accept === "" ? value : `${draft.accept},${value}`
    if (field === Field.Loop) draft.hops += count(value, loopName)
    if (field === Field.Accept || field === Field.Loop) continue
    const refusal = takeField(field, value, draft)
    if (refusal !== undefined) return refusal
    if (start > run) draft.kept += text.slice(run, start)
    run = lines[slot + 4]!
  }
  const end = text.length - 2
  if (found > 0 && end > run) draft.kept += text.slice(run, end)
  return undefined
}

const hopOptions = new Set(["close", "keep-alive", "upgrade", "te", ""])

/** RFC 9112 §6.3: what delimits the body. */
const readFraming = (draft: Draft, minor: number): { chunked: boolean; length: number } | Refusal => {
  if (draft.encoding === undefined) {
    if (draft.length === undefined) return { chunked: false, length: -1 }
    const length = parseContentLength(draft.length)
    return length === undefined ? refuse(400, "content-length") : { chunked: false, length }
  }
  if (minor === 0) return refuse(400, "encoding-in-http10")
  if (draft.length !== undefined) return refuse(400, "length-and-encoding")
  return draft.encoding.toLowerCase() === "chunked" ? { chunked: true, length: -1 } : refuse(400, "transfer-encoding")
}

interface RequestLine {
  readonly method: string
  readonly target: string
  readonly minor: string
}

/** RFC 9112 §3: method SP target SP version, one space each, nothing else. `end`: of the line. */
const splitLine = (text: string, end: number): RequestLine | Refusal => {
  const [first, last] = [text.indexOf(" "), end - 9]
  const plain = first > 0 && first + 1 < last && text.startsWith(" HTTP/1.", last) && text.indexOf(" ", first + 1) === last
  const minor = text.charAt(end - 1)
  if (plain && (minor === "1" || minor === "0")) return { method: text.slice(0, first), target: text.slice(first + 1, last), minor }
  const parts = requestLine.exec(text.slice(0, end))
  if (parts === null) return refuse(400, "request-line")
  return parts[3] === "1" ? { method: parts[1]!, target: parts[2]!, minor: parts[4]! } : refuse(505, "http-version")
}

const readRequestLine = (text: string, end: number): RequestLine | Refusal => {
  const line = splitLine(text, end)
  if ("refused" in line) return line
  const method = readMethod(line.method)
  return typeof method === "string" ? { method, target: line.target, minor: line.minor } : method
}

const readHost = (draft: Draft, authority: string): HostAndPort | Refusal => {
  if (draft.host === undefined) return refuse(400, "host-missing")
  const host = readHostAndPort(draft.host)
  if (host === undefined) return refuse(400, "host")
  if (authority === "") return host
  const other = readHostAndPort(authority)
  return other !== undefined && other.host === host.host && other.port === host.port ? host : refuse(400, "target-host-differs")
}

const finish = (line: RequestLine, draft: Draft): RequestHead | Refusal => {
  const minor = line.minor === "0" ? 0 : 1
  const target = readTarget(line.method, line.target)
  if ("refused" in target) return target
  const host = readHost(draft, target.authority)
  if ("refused" in host) return host
  const framing = readFraming(draft, minor)
  if ("refused" in framing) return framing
  if (draft.expect !== "" && draft.expect !== "100-continue") return refuse(417, "expectation")
  const options = readOptions(draft.connection)
  if (options.some((option) => !hopOptions.has(option) && !isToken(option, 0, option.length))) return refuse(400, "connection-option")
  const kept = options.some((option) => !hopOptions.has(option)) ? withoutNamed(draft.kept, options) : draft.kept
  const limited = line.method === "OPTIONS" ? lowerMaxForwards(kept) : undefined
  if (isRefusal(limited)) return limited
  const hasBody = framing.chunked || framing.length > 0
  return {
    method: line.method,
    target: target.target,
    minor,
    host: host.host,
    port: host.port,
    kept: limited?.kept ?? kept,
    chunked: framing.chunked,
    length: framing.length,
    close: minor === 0 || options.includes("close"),
    expectContinue: draft.expect !== "" && hasBody && minor === 1, // RFC 9110 §10.1.1: of HTTP/1.0 it MUST be ignored
    websocket:
      minor === 1 && line.method === "GET" && !hasBody && options.includes("upgrade") && draft.upgrade.toLowerCase() === "websocket",
    accept: draft.accept,
    hops: draft.hops,
    lastHop: limited?.lastHop === true
  }
}

/** The same request with another origin-form target, on which nothing else of a head depends; undefined: read it as a whole. */
export const withTarget = (head: RequestHead, target: string): RequestHead | undefined =>
  checkOriginForm(target) === undefined ? { ...head, target } : undefined

/**
 * Reads a whole head: `text` has one code unit per byte (latin1), starts at the request line and ends with the empty line's CRLF.
 * A refusal's status is what the client is answered; the connection is closed after it. `scanned`: how many field lines a `HeadScan` of the same
 * bytes found just now; -1 when there was none.
 */
export const readRequestHead = (text: string, scanned = -1): RequestHead | Refusal => {
  const foreign = scanned < 0 ? findForeignByte(text) : undefined
  if (foreign !== undefined) return foreign
  const end = text.indexOf("\r\n")
  const line = readRequestLine(text, end)
  if ("refused" in line) return line
  const found = scanned < 0 ? scanFields(text, end + 2, noScan) : scanned
  if (typeof found !== "number") return found
  const draft: Draft = {
    host: undefined,
    length: undefined,
    encoding: undefined,
    connection: "",
    upgrade: "",
    expect: "",
    accept: "",
    hops: 0,
    kept: ""
  }
  return takeLines(text, found, draft) ?? finish(line, draft)
}
