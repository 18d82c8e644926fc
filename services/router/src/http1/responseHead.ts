/**
 * Reads the head of an origin's HTTP/1 response, strictly (RFC 9112 §4, §6.3; requirement E4).
 *
 * Owns: the verdict on it, how the body is delimited, which lines may be passed on. Leaves to the client's side: writing it in its own framing.
 * Built against: an origin whose framing is ambiguous, which could slip a second response into another client's hands.
 */
import { Field, isAt, responseFieldAt } from "./fieldNames.ts"
import { findForeignByte, lines, readContentLength, readOptions, scanFields, stride } from "./fields.ts"
import { PassedLines } from "./PassedLines.ts"
import { isRefusal, type Refusal, refuse } from "./Refusal.ts"
import type { RepeatedHead, Run, StatusLine } from "./RepeatedHead.ts"

export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** Without framing and hop-by-hop fields. */
  readonly passed: PassedLines
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
const statusForm = /^HTTP\/1\.([0-9]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/
const keepTimeout = /(?:^|[,;\s])timeout\s*=\s*"?([0-9]{1,6})/i

/** Of the head that was read last: one for the process, as the lines of the last scan are. */
const passed = new PassedLines()

const absent = -1

/** One whose lines were scanned just now. */
interface PlainHead {
  readonly bytes: Buffer
  readonly found: number
  /** That it was scanned with. */
  readonly repeated: RepeatedHead | undefined
}

interface Draft {
  length: number
  encoding: string | undefined
  connection: string
  upgrade: string
  keepAlive: string
}

const takeLength = (bytes: Buffer, start: number, end: number, draft: Draft): Refusal | undefined => {
  if (draft.length !== absent) return refuse(502, "origin-length-twice")
  draft.length = readContentLength(bytes, start, end)
  return draft.length < 0 ? refuse(502, "origin-content-length") : undefined
}

/** One that has a value in words. */
const takeWords = (field: Field, value: string, draft: Draft): Refusal | undefined => {
  switch (field) {
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

/** Values that nearly all origins send, compared in place, which needs no string. */
const usualValues = ["keep-alive", "close", "chunked"].map((text) => ({ text, bytes: Buffer.from(text) }))

const textOf = (bytes: Buffer, start: number, end: number): string => {
  for (const usual of usualValues) if (usual.bytes.length === end - start && isAt(bytes, start, usual.bytes)) return usual.text
  return bytes.toString("latin1", start, end)
}

const takeLine = (bytes: Buffer, slot: number, draft: Draft): Refusal | undefined => {
  const field = responseFieldAt(bytes, lines[slot]!, lines[slot + 1]!, lines[slot + 5]!)
  const [start, end] = [lines[slot + 2]!, lines[slot + 3]!]
  if (field === Field.Pass) passed.add(slot)
  else if (field === Field.ContentLength) return takeLength(bytes, start, end, draft)
  else if (field !== Field.Drop) return takeWords(field, textOf(bytes, start, end), draft)
  return undefined
}

/** One that stands at `at`. */
const takeRun = (run: Run, bytes: Buffer, at: number, draft: Draft): Refusal | undefined => {
  passed.addRun(run, at)
  for (const { end, field, start, value } of run.others) {
    const refusal = field === Field.ContentLength ? takeLength(bytes, at + start, at + end, draft) : takeWords(field, value, draft)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

const takeLines = ({ bytes, found, repeated }: PlainHead, draft: Draft): Refusal | undefined => {
  passed.begin(bytes)
  for (let line = 0; line < found; ) {
    const slot = line * stride
    const run = lines[slot + 6] === 1 ? repeated?.runs[line] : undefined
    const refusal = run === undefined ? takeLine(bytes, slot, draft) : takeRun(run, bytes, lines[slot]!, draft)
    if (refusal !== undefined) return refusal
    line += run?.count ?? 1
  }
  return undefined
}

const ordinary = new Set(["close", "keep-alive", "upgrade", ""])

/** A response that has both, an unknown coding, or an encoding in HTTP/1.0 is not repaired (RFC 9112 §6.1, §6.3). */
const readFraming = (draft: Draft, minor: number): { chunked: boolean; length: number } | Refusal => {
  if (draft.encoding === undefined) return { chunked: false, length: draft.length }
  if (draft.length !== absent) return refuse(502, "origin-length-and-encoding")
  if (minor === 0) return refuse(502, "origin-encoding-in-http10")
  return draft.encoding.toLowerCase() === "chunked" ? { chunked: true, length: -1 } : refuse(502, "origin-transfer-encoding")
}

const ok: StatusLine = { minor: 1, status: 200, reason: "OK" }
const okLine = Buffer.from("HTTP/1.1 200 OK\r\n")
const readStatusLine = (bytes: Buffer): StatusLine | null => {
  if (isAt(bytes, 0, okLine)) return ok
  const found = statusForm.exec(bytes.toString("latin1", 0, bytes.indexOf("\r\n")))
  return found && { minor: Number(found[1]), status: Number(found[2]), reason: found[3] ?? "" }
}

/** The run that it begins with. */
const firstRun = ({ found, repeated }: PlainHead): Run | undefined => (found > 0 && lines[6] === 1 ? repeated?.runs[0] : undefined)

const statusOf = (bytes: Buffer, run: Run | undefined): StatusLine | null => {
  if (run === undefined) return readStatusLine(bytes)
  if (run.status === undefined) run.status = readStatusLine(bytes)
  return run.status
}

/** A head that may be unusual: white space before a colon is removed (RFC 9112 §5.1), anything else refused. */
const makePlain = (bytes: Buffer): PlainHead | Refusal => {
  const text = bytes.toString("latin1")
  const foreign = findForeignByte(text)
  const first = text.indexOf("\r\n") + 2
  const found = foreign ?? scanFields(text, first, trimming)
  if (typeof found !== "number") return refuse(502, `origin-${found.code}`)
  let plain = text.slice(0, first)
  for (let slot = 0; slot < found * stride; slot += stride) {
    const nameEnd = lines[slot + 1]!
    plain += text.slice(lines[slot], nameEnd) + text.slice(text.indexOf(":", nameEnd), lines[slot + 4])
  }
  return plain.length + 2 === text.length ? { bytes, found, repeated: undefined } : makePlain(Buffer.from(`${plain}\r\n`, "latin1"))
}

/** One whose bytes were read before, all of them: the same file within a second, an answer of 304. */
const readAgain = (bytes: Buffer, run: Run, head: ResponseHead): ResponseHead => {
  passed.begin(bytes)
  passed.addRun(run, 0)
  return head
}

const readPlainHead = (plain: PlainHead): ResponseHead | Refusal => {
  const run = firstRun(plain)
  const whole = run?.count === plain.found ? run : undefined
  if (whole?.head !== undefined) return readAgain(plain.bytes, whole, whole.head)
  const line = statusOf(plain.bytes, run)
  if (line === null) return refuse(502, "origin-status-line")
  const draft: Draft = { length: absent, encoding: undefined, connection: "", upgrade: "", keepAlive: "" }
  const refusal = takeLines(plain, draft)
  if (refusal !== undefined) return refusal
  const framing = readFraming(draft, line.minor)
  if ("refused" in framing) return framing
  const options = readOptions(draft.connection)
  const named = draft.connection !== "keep-alive" && options.some((option) => !ordinary.has(option))
  if (named) passed.removeNamed(options)
  const timeout = draft.keepAlive === "" ? null : keepTimeout.exec(draft.keepAlive)
  const head: ResponseHead = {
    status: line.status,
    reason: line.reason,
    passed,
    dated: passed.has("date"),
    chunked: framing.chunked,
    length: framing.length,
    close: line.minor === 0 ? !options.includes("keep-alive") : options.includes("close"),
    websocket: line.status === 101 && options.includes("upgrade") && draft.upgrade.toLowerCase() === "websocket",
    keepSeconds: timeout === null ? -1 : Number(timeout[1])
  }
  if (whole !== undefined && !named) whole.head = head
  return head
}

/**
 * Reads the whole head, its empty line included, that `bytes` begin with. `scanned`: how many lines `HeadScan` has found in it; -1: it was not scanned,
 * or is unusual. Refusals have status 502.
 */
export const readResponseHead = (bytes: Buffer, length = bytes.length, scanned = -1, repeated?: RepeatedHead): ResponseHead | Refusal => {
  if (scanned >= 0) return readPlainHead({ bytes, found: scanned, repeated })
  const plain = makePlain(bytes.subarray(0, length))
  return isRefusal(plain) ? plain : readPlainHead(plain)
}
