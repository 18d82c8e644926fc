/**
 * Reads the head of an origin's HTTP/1 response, strictly (RFC 9112 §4, §6.3; requirement E4).
 *
 * Owns: the verdict on it, how the body is delimited, which lines may be passed on. Leaves to the client's side: writing it in its own framing.
 * Built against: an origin whose framing is ambiguous, which could slip a second response into another client's hands.
 */
import { Field, responseFieldAt } from "./fieldNames.ts"
import { findForeignByte, lines, parseContentLength, readOptions, scanFields, stride, withoutNamed } from "./fields.ts"
import { type Refusal, refuse } from "./Refusal.ts"

export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** Field lines that pass untouched, each with its CRLF; without framing and hop-by-hop fields. */
  readonly kept: string
  /** A Date is among them. */
  readonly dated: boolean
  readonly chunked: boolean
  /** Content-Length; -1 when the head has none. */
  readonly length: number
  /** The origin will close, or may: HTTP/1.0. */
  readonly close: boolean
  /** The origin agreed to WebSocket. */
  readonly websocket: boolean
  /** Seconds for which the origin says it keeps an idle connection (`Keep-Alive: timeout`); -1 when it says nothing. */
  readonly keepSeconds: number
}

const trimming = { trimBeforeColon: true }
const statusLine = /^HTTP\/1\.([0-9]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/
const keepTimeout = /(?:^|[,;\s])timeout\s*=\s*"?([0-9]{1,6})/i

interface Draft {
  length: string | undefined
  encoding: string | undefined
  connection: string
  upgrade: string
  keepAlive: string
  dated: boolean
  kept: string
}

const takeField = (field: Field, value: string, draft: Draft): Refusal | undefined => {
  switch (field) {
    case Field.ContentLength:
      if (draft.length !== undefined) return refuse(502, "origin-length-twice")
      draft.length = value
      return undefined
    case Field.TransferEncoding:
      if (draft.encoding !== undefined) return refuse(502, "origin-encoding-twice")
      draft.encoding = value
      return undefined
    case Field.Connection:
      draft.connection += draft.connection === "" ? value : `,${value}`
      return undefined
    case Field.Upgrade:
      draft.upgrade = value
      return undefined
    case Field.KeepAlive:
      draft.keepAlive = value
      return undefined
    default:
      return undefined
  }
}

const isDate = (text: string, start: number, end: number): boolean =>
  end - start === 4 && (text.startsWith("Date", start) || text.slice(start, end).toLowerCase() === "date")

const takeLines = (text: string, found: number, draft: Draft): Refusal | undefined => {
  let run = found === 0 ? 0 : lines[0]!
  const cut = (until: number, next: number) => {
    if (until > run) draft.kept += text.slice(run, until)
    run = next
  }
  for (let slot = 0; slot < found * stride; slot += stride) {
    const start = lines[slot]!
    const nameEnd = lines[slot + 1]!
    const field = responseFieldAt(text, start, nameEnd, lines[slot + 5]!)
    if (field === Field.Pass) {
      draft.dated ||= isDate(text, start, nameEnd)
      if (text.charCodeAt(nameEnd) === 58) continue
      cut(nameEnd, text.indexOf(":", nameEnd))
      continue
    }
    const refusal = takeField(field, text.slice(lines[slot + 2]!, lines[slot + 3]!), draft)
    if (refusal !== undefined) return refusal
    cut(start, lines[slot + 4]!)
  }
  if (found > 0) cut(text.length - 2, 0)
  return undefined
}

const ordinary = new Set(["close", "keep-alive", "upgrade", ""])

/** A response that has both, an unknown coding, or an encoding in HTTP/1.0 is not repaired (RFC 9112 §6.1, §6.3). */
const readFraming = (draft: Draft, minor: string): { chunked: boolean; length: number } | Refusal => {
  if (draft.encoding === undefined) {
    if (draft.length === undefined) return { chunked: false, length: -1 }
    const length = parseContentLength(draft.length)
    return length === undefined ? refuse(502, "origin-content-length") : { chunked: false, length }
  }
  if (draft.length !== undefined) return refuse(502, "origin-length-and-encoding")
  if (minor === "0") return refuse(502, "origin-encoding-in-http10")
  return draft.encoding.toLowerCase() === "chunked" ? { chunked: true, length: -1 } : refuse(502, "origin-transfer-encoding")
}

const ok: ReadonlyArray<string> = ["", "1", "200", "OK"]
const readStatusLine = (text: string, end: number): ReadonlyArray<string | undefined> | null =>
  end === 15 && text.startsWith("HTTP/1.1 200 OK") ? ok : statusLine.exec(text.slice(0, end))

/** Reads a whole head, as `readRequestHead` does. Refusals have status 502. */
export const readResponseHead = (text: string, scanned = -1): ResponseHead | Refusal => {
  const foreign = scanned < 0 ? findForeignByte(text) : undefined
  if (foreign !== undefined) return refuse(502, `origin-${foreign.code}`)
  const end = text.indexOf("\r\n")
  const line = readStatusLine(text, end)
  if (line === null) return refuse(502, "origin-status-line")
  const found = scanned < 0 ? scanFields(text, end + 2, trimming) : scanned
  if (typeof found !== "number") return refuse(502, `origin-${found.code}`)
  const draft: Draft = { length: undefined, encoding: undefined, connection: "", upgrade: "", keepAlive: "", dated: false, kept: "" }
  const refusal = takeLines(text, found, draft)
  if (refusal !== undefined) return refusal
  const framing = readFraming(draft, line[1]!)
  if ("refused" in framing) return framing
  const options = readOptions(draft.connection)
  const timeout = draft.keepAlive === "" ? null : keepTimeout.exec(draft.keepAlive)
  return {
    status: Number(line[2]),
    reason: line[3] ?? "",
    kept: options.some((option) => !ordinary.has(option)) ? withoutNamed(draft.kept, options) : draft.kept,
    dated: draft.dated && !options.includes("date"),
    chunked: framing.chunked,
    length: framing.length,
    close: line[1] === "0" ? !options.includes("keep-alive") : options.includes("close"),
    websocket: line[2] === "101" && options.includes("upgrade") && draft.upgrade.toLowerCase() === "websocket",
    keepSeconds: timeout === null ? -1 : Number(timeout[1])
  }
}
