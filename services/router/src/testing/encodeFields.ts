/**
 * Encodes any list of fields (RFC 7541), pseudo-fields too, for clients that tests play; names by the static table, no dynamic one.
 *
 * Owns: the block as a latin1 string. Leaves to `http2/hpack/writeBlock.ts`: what the edge itself sends.
 */
import { staticIndexOf } from "../http2/hpack/staticTable.ts"

const statusIndex: Readonly<Record<string, number>> = { 200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14 }

/** §5.1 with a prefix of `bits`, the bits above it being `pattern`. */
const integer = (value: number, bits: number, pattern: number): string => {
  const mask = (1 << bits) - 1
  if (value < mask) return String.fromCharCode(pattern | value)
  let text = String.fromCharCode(pattern | mask)
  let rest = value - mask
  for (; rest >= 128; rest = Math.floor(rest / 128)) text += String.fromCharCode(128 | (rest % 128))
  return text + String.fromCharCode(rest)
}

const literal = (text: string): string => integer(text.length, 7, 0) + text

/** Encoded names; there are few, and the memory is bounded. */
const names = new Map<string, string>()
const encodeName = (name: string): string => {
  const known = names.get(name)
  if (known !== undefined) return known
  const index = staticIndexOf.get(name)
  // §6.2.2 without indexing; §6.2.3 never indexed for what must not end in anybody's table.
  const pattern = name === "set-cookie" || name === "authorization" ? 0x10 : 0
  const encoded = index === undefined ? String.fromCharCode(pattern) + literal(name) : integer(index, 4, pattern)
  if (names.size >= 4096) names.clear()
  names.set(name, encoded)
  return encoded
}

/** `fields` is flat: name, value, … with names in lower case and one code unit per byte. */
export const encodeFields = (fields: ReadonlyArray<string>): string => {
  let block = ""
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    const value = fields[at + 1]!
    const index = name === ":status" ? statusIndex[value] : undefined
    block += index === undefined ? encodeName(name) + literal(value) : String.fromCharCode(0x80 | index)
  }
  return block
}
