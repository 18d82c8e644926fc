/**
 * Walks the field lines of an HTTP/1 head or trailer section, strictly (RFC 9112 §5).
 *
 * Owns: where a line, its name and its value begin and end, and which bytes may stand there. Leaves to `requestHead.ts`, `responseHead.ts` and
 * `trailers.ts`: what a field means. Built against: two programs that read one head differently. Whatever a lenient reader would repair (a bare
 * LF, a folded line, a space before the colon) is refused here, so there is nothing left to disagree about.
 */
import { type Refusal, refuse } from "./Refusal.ts"

/** A head larger than this many bytes is answered with 431. */
export const maxHeadBytes = 32 * 1024
/** A head of more field lines than this is answered with 431. */
export const maxFieldLines = 1000

/**
 * Numbers kept for each line: start, end of name, start of value, end of value, start of the next line, kinds of token bytes in the name, and whether a
 * run of the `RepeatedHead` begins here (1): then its start is all that is said of the run's lines.
 */
export const stride = 7
/** The lines of the last scan; valid until the next one. */
export const lines = new Int32Array(stride * (maxFieldLines + 1))

// RFC 9110 §5.5: VCHAR, obs-text, SP and HTAB only; §5.5: CR, LF and NUL are dangerous and must not pass; RFC 9112 §2.2: a bare CR or LF is no line end.
const foreignByte = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/
const isNul = (text: string, at: number) => text.charCodeAt(at) === 0

/** RFC 9110 §5.6.2. 1: a token byte; 2: a token byte that is neither a lower- or upper-case letter, a digit nor a hyphen. */
export const tokenByte = new Uint8Array(256)
for (const character of "!#$%&'*+.^_`|~") tokenByte[character.charCodeAt(0)] = 2
for (let code = 0; code < 128; code++) if (/[A-Za-z0-9-]/.test(String.fromCharCode(code))) tokenByte[code] = 1

export const isToken = (text: string, start: number, end: number): boolean => {
  for (let at = start; at < end; at++) if (tokenByte[text.charCodeAt(at)] === 0) return false
  return end > start
}

/** The first byte that may not stand in a head, named; undefined when there is none. */
export const findForeignByte = (text: string): Refusal | undefined => {
  const at = text.search(foreignByte)
  if (at < 0) return undefined
  if (isNul(text, at)) return refuse(400, "nul-byte")
  const code = text.charCodeAt(at)
  return refuse(400, code === 10 ? "bare-lf" : code === 13 ? "bare-cr" : "control-byte")
}

/** The `tokenByte` kinds in a name, added up as bits; 0 when it is no token. */
const kindsOf = (text: string, start: number, end: number): number => {
  let kinds = 0
  for (let at = start; at < end; at++) {
    const kind = tokenByte[text.charCodeAt(at)]!
    if (kind === 0) return 0
    kinds |= kind
  }
  return kinds
}

export interface ScanOptions {
  /** RFC 9112 §5.1: a proxy removes white space before the colon of a response's field; in a request it is refused. */
  readonly trimBeforeColon: boolean
}

const isSpace = (code: number) => code === 32 || code === 9

/**
 * Scans `text` from `start` up to the empty line. `text` holds one code unit per byte, ends with the empty line's CRLF and has passed
 * `findForeignByte`. Returns the number of lines, found in `lines`.
 */
export const scanFields = (text: string, start: number, options: ScanOptions): number | Refusal => {
  let count = 0
  let at = start
  for (;;) {
    const end = text.indexOf("\r\n", at)
    if (end < 0) return refuse(400, "unfinished-head")
    if (end === at) return end + 2 === text.length ? count : refuse(400, "bytes-after-head")
    if (count === maxFieldLines) return refuse(431, "too-many-fields")
    if (isSpace(text.charCodeAt(at))) return refuse(400, count === 0 ? "space-before-first-field" : "folded-field")
    const colon = text.indexOf(":", at)
    if (colon < 0 || colon > end) return refuse(400, "field-without-colon")
    if (colon === at) return refuse(400, "empty-field-name")
    let nameEnd = colon
    if (options.trimBeforeColon) while (nameEnd > at && isSpace(text.charCodeAt(nameEnd - 1))) nameEnd--
    const kinds = kindsOf(text, at, nameEnd)
    if (kinds === 0) return refuse(400, isSpace(text.charCodeAt(colon - 1)) ? "space-before-colon" : "field-name")
    let valueStart = colon + 1
    let valueEnd = end
    while (valueStart < valueEnd && isSpace(text.charCodeAt(valueStart))) valueStart++
    while (valueEnd > valueStart && isSpace(text.charCodeAt(valueEnd - 1))) valueEnd--
    const slot = count * stride
    lines[slot] = at
    lines[slot + 1] = nameEnd
    lines[slot + 2] = valueStart
    lines[slot + 3] = valueEnd
    lines[slot + 4] = end + 2
    lines[slot + 5] = kinds
    lines[slot + 6] = 0
    count++
    at = end + 2
  }
}

const noOptions: ReadonlyArray<string> = []
const keepAlive: ReadonlyArray<string> = ["keep-alive"]

/** The options of Connection (RFC 9110 §7.6.1), in lower case. */
export const readOptions = (value: string): ReadonlyArray<string> => {
  if (value === "") return noOptions
  if (value === "keep-alive") return keepAlive
  return value
    .toLowerCase()
    .split(",")
    .map((option) => option.replace(/^[ \t]+|[ \t]+$/g, "")) // OWS; trim() takes A0 along
}

/** RFC 9110 §7.6.1: fields named in Connection belong to this hop. `kept`: lines, each with its CRLF. */
export const withoutNamed = (kept: string, options: ReadonlyArray<string>): string => {
  const named = new Set(options)
  const isNamed = (line: string) => named.has(line.slice(0, line.indexOf(":")).toLowerCase())
  return kept
    .split(/(?<=\n)/)
    .filter((line) => line !== "" && !isNamed(line))
    .join("")
}

const lengthDigits = /^[0-9]{1,16}$/

/** RFC 9110 §8.6: digits only; a list or a number beyond what can be counted exactly is refused. */
export const parseContentLength = (value: string): number | undefined => {
  if (!lengthDigits.test(value)) return undefined
  const length = Number(value)
  return Number.isSafeInteger(length) ? length : undefined
}

/** As `parseContentLength`, of bytes; -1 when it is refused. */
export const readContentLength = (bytes: Uint8Array, start: number, end: number): number => {
  if (end === start || end - start > 16) return -1
  let length = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 48
    if (digit < 0 || digit > 9) return -1
    length = length * 10 + digit
  }
  return Number.isSafeInteger(length) ? length : -1
}
