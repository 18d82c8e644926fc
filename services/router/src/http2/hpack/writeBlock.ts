/**
 * Writes the header blocks of answers (RFC 7541) from field lines of HTTP/1 straight into the bytes that go out.
 *
 * Owns: the encoding. There is no dynamic table: nothing to keep in step with the peer. Values are plain literals: Huffman would save the client
 * a third of the bytes and cost the edge more time than everything else about an answer. Leaves to `TurnWriter.ts`: frames.
 */
import { hasLength } from "../../exchange/answerLines.ts"
import { type PassedLines, placeStride } from "../../http1/PassedLines.ts"
import type { Run } from "../../http1/RepeatedHead.ts"
import { putNumber } from "../../lineBytes.ts"
import { staticLength, staticNames } from "./staticTable.ts"

const [tab, cr, space, colon] = [9, 13, 32, 58]
/** §6.2.2 without indexing; §6.2.3 never indexed, for what must not end in anybody's table. */
const neverIndexed = 0x10

const lower = new Uint8Array(256).map((_, code) => (code >= 65 && code <= 90 ? code + 32 : code))

/** Of a name, whatever its case: the 52 of the static table get 49 slots by it. */
const slotOf = (text: Uint8Array, start: number, end: number): number =>
  (end - start + (text[start]! & 31) * 4 + (text[end - 1]! & 31) * 16) & 255

/** Indices of the static table by `slotOf` their name, open addressing. */
const slots = new Uint8Array(256)
const names = staticNames.map((name) => Buffer.from(name, "latin1"))
const secret = new Uint8Array(staticLength + 1)
for (let index = 1; index <= staticLength; index++) {
  if (staticNames.indexOf(staticNames[index]!) < index) continue
  let slot = slotOf(names[index]!, 0, names[index]!.length)
  while (slots[slot] !== 0) slot = (slot + 1) & 255
  slots[slot] = index
  if (staticNames[index] === "set-cookie" || staticNames[index] === "authorization") secret[index] = neverIndexed
}

const isName = (index: number, text: Uint8Array, start: number, end: number): boolean => {
  const name = names[index]!
  if (name.length !== end - start) return false
  for (let at = 0; at < name.length; at++) if (name[at] !== lower[text[start + at]!]) return false
  return true
}

/** The first index of the static table with this name; 0: none has it. */
const indexOf = (text: Uint8Array, start: number, end: number): number => {
  for (let slot = slotOf(text, start, end); slots[slot] !== 0; slot = (slot + 1) & 255)
    if (isName(slots[slot]!, text, start, end)) return slots[slot]!
  return 0
}

/** §5.1; returns the place behind it. */
const writeInteger = (out: Uint8Array, start: number, value: number, bits: number, pattern: number): number => {
  const mask = (1 << bits) - 1
  if (value < mask) {
    out[start] = pattern | value
    return start + 1
  }
  out[start] = pattern | mask
  let at = start + 1
  let rest = value - mask
  for (; rest >= 128; rest >>>= 7) out[at++] = 128 | (rest & 127)
  out[at] = rest
  return at + 1
}

const writeName = (out: Uint8Array, start: number, text: Uint8Array, from: number, to: number): number => {
  const index = indexOf(text, from, to)
  if (index > 0) return writeInteger(out, start, index, 4, secret[index]!)
  out[start] = 0
  let at = writeInteger(out, start + 1, to - from, 7, 0)
  for (let next = from; next < to; next++) out[at++] = lower[text[next]!]!
  return at
}

/** Above this a native copy is quicker than a loop. */
const longValue = 64

const writeValue = (out: Buffer, start: number, text: Buffer, from: number, to: number): number => {
  let at = writeInteger(out, start, to - from, 7, 0)
  if (to - from > longValue) return at + text.copy(out, at, from, to)
  for (let next = from; next < to; next++) out[at++] = text[next]!
  return at
}

/** By status: its index in the static table, or 0. */
const statusIndex = new Uint8Array(1000)
for (const [at, status] of [200, 204, 206, 304, 400, 404, 500].entries()) statusIndex[status] = 8 + at

/** `:status`, unless it is 0; returns the place behind it. */
export const writeStatus = (out: Uint8Array, start: number, status: number): number => {
  if (status === 0) return start
  const index = statusIndex[status]!
  if (index > 0) {
    out[start] = 0x80 | index
    return start + 1
  }
  out[start] = 8
  out[start + 1] = 3
  out[start + 2] = 48 + Math.floor(status / 100)
  out[start + 3] = 48 + (Math.floor(status / 10) % 10)
  out[start + 4] = 48 + (status % 10)
  return start + 5
}

const contentLength = staticNames.indexOf("content-length")

/** `content-length`, if there is to be one; returns the place behind it. */
export const writeLength = (
  out: Buffer,
  start: number,
  { status, length }: { readonly status: number; readonly length: number }
): number => {
  if (!hasLength(status, length)) return start
  const at = writeInteger(out, start, contentLength, 4, 0) + 1
  const end = putNumber(out, at, length)
  out[at - 1] = end - at
  return end
}

/** The line whose numbers stand in `slot`; returns the place behind it. */
const writeLine = (out: Buffer, start: number, bytes: Buffer, places: Int32Array, slot: number): number =>
  writeValue(out, writeName(out, start, bytes, places[slot]!, places[slot + 1]!), bytes, places[slot + 2]!, places[slot + 3]!)

/** Those lines of a run that pass. */
const codeRun = ({ bytes, passed, passing, places }: Run): Uint8Array => {
  const out = Buffer.alloc(blockRoom(passed.length))
  let at = 0
  for (const slot of passing) at = writeLine(out, at, bytes, places, slot)
  return Uint8Array.from(out.subarray(0, at))
}

/** Lines as they came; returns the place behind them. */
export const writePassed = (out: Buffer, start: number, { bytes, count, places, runs }: PassedLines): number => {
  let at = start
  for (let entry = 0; entry < count; entry++) {
    const run = runs[entry]
    if (run === undefined) {
      at = writeLine(out, at, bytes, places, entry * placeStride)
      continue
    }
    run.coded ??= codeRun(run)
    out.set(run.coded, at)
    at += run.coded.length
  }
  return at
}

const scratch = Buffer.allocUnsafeSlow(64 * 1024)

/** Room that is enough for `:status`, a length and lines of so many bytes: what a line loses of colon and CRLF is what a field needs, but for lengths above 126. */
export const blockRoom = (bytes: number): number => bytes + (bytes >>> 5) + 40

/** HTTP/1 field lines, each with its CRLF, one code unit per byte; `out` has room for them. Returns the place behind the block. */
export const writeLines = (out: Buffer, start: number, lines: string): number => {
  if (lines === "") return start // most answers: they have all they need from the origin
  const text = lines.length <= scratch.length ? scratch : Buffer.allocUnsafe(lines.length)
  const length = text.write(lines, 0, "latin1")
  let at = start
  for (let line = 0; line < length; ) {
    let nameEnd = line
    while (nameEnd < length && text[nameEnd] !== colon) nameEnd++
    let from = nameEnd + 1
    while (text[from] === space || text[from] === tab) from++
    let next = from
    while (next < length && text[next] !== cr) next++
    let to = next
    while (to > from && (text[to - 1] === space || text[to - 1] === tab)) to--
    at = writeName(out, at, text, line, nameEnd)
    at = writeValue(out, at, text, from, to)
    line = next + 2
  }
  return at
}
