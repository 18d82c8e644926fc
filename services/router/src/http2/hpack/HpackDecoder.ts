/**
 * Decodes header blocks (RFC 7541).
 *
 * Owns: one direction's dynamic table, and the limits of a block. Leaves to `readHttp2Fields`: what the fields mean. Built against: an integer
 * that overflows, an index that is nowhere, a table size above what was offered, and a small block that unfolds into megabytes: what is too
 * large is still decoded, to keep the tables in step, but no longer kept.
 */
import { HeaderField } from "../HeaderField.ts"
import { decodeHuffman } from "./huffman.ts"
import { staticLength, staticNames, staticValues } from "./staticTable.ts"

/** By index; none has index 0. */
const staticFields = staticNames.map((name, index) => (index === 0 ? undefined : new HeaderField(name, staticValues[index]!)))

/** RFC 7541 §4.1: each entry costs its bytes and 32. */
const entryOverhead = 32
/** What a field costs as a line of HTTP/1: colon, space, CRLF. */
const lineOverhead = 4

/** §6.2.2, §6.2.3: a field in letters that does not enter the table begins with less. */
const passing = 0x20

export interface DecodedBlock {
  readonly fields: Array<HeaderField>
  /** The list was larger than allowed; `fields` is cut short and must not be used. */
  readonly tooLarge: boolean
}

export class HpackDecoder {
  private readonly limit: number
  private capacity: number
  private size = 0
  /** Newest last. */
  private entries: Array<HeaderField> = []
  /** How often the table changed: what a block means depends on its bytes and on the table alone. */
  changes = 0
  /** Where the last block that has a path has its last one, from the block's beginning. */
  pathStart = 0
  pathEnd = 0
  /** In the block that is being decoded, whose bytes are handed on: kept here they would stay with an idle connection. */
  private at = 0
  private end = 0

  /** `tableSize`: SETTINGS_HEADER_TABLE_SIZE that was offered. */
  constructor(tableSize: number) {
    this.limit = tableSize
    this.capacity = tableSize
  }

  /**
   * Of `bytes` from `start` to `end`. Undefined: a compression error, which ends the connection. `maxBytes`: of the list as lines, so that one limit
   * holds for both versions of HTTP. Who keeps to it by RFC 9113 §6.5.2, where a field costs more, always passes.
   */
  decode(bytes: Buffer, maxBytes: number, maxFields: number, start = 0, end = bytes.length): DecodedBlock | undefined {
    this.at = start
    this.end = end
    const fields: Array<HeaderField> = []
    let total = 0
    let count = 0
    let begun = false
    while (this.at < this.end) {
      const first = bytes[this.at]!
      if ((first & 0xe0) === 0x20) {
        if (begun || !this.resize(bytes)) return undefined // §4.2: only at the beginning of a block
        continue
      }
      begun = true
      const from = this.at
      const field = first & 0x80 ? this.look(this.integer(bytes, 7)) : this.literal(bytes, first)
      if (field === undefined) return undefined
      if (field.name === ":path") {
        this.pathStart = from - start
        this.pathEnd = this.at - start
      }
      total += field.name.length + field.value.length + lineOverhead
      if (total <= maxBytes && ++count <= maxFields) fields.push(field)
    }
    return { fields, tooLarge: total > maxBytes || count > maxFields }
  }

  /** The path that `bytes` from `start` to `end` are, if they are that alone, in letters that don't enter the table. */
  readPath(bytes: Buffer, start: number, end: number): string | undefined {
    this.at = start
    this.end = end
    if (start >= end || bytes[start]! >= passing || this.look(this.integer(bytes, 4))?.name !== ":path") return undefined
    const path = this.text(bytes)
    return this.at === end ? path : undefined
  }

  private literal(bytes: Buffer, first: number): HeaderField | undefined {
    const indexing = (first & 0xc0) === 0x40
    const index = this.integer(bytes, indexing ? 6 : 4)
    const alike = index === 0 ? undefined : this.look(index)
    const name = index === 0 ? this.text(bytes) : alike?.name
    const value = name === undefined ? undefined : this.text(bytes)
    if (name === undefined || value === undefined) return undefined
    const field = new HeaderField(name, value, alike?.meaning)
    if (indexing) this.insert(field)
    return field
  }

  /** Undefined for an index that is nowhere. */
  private look(index: number): HeaderField | undefined {
    if (index <= staticLength) return staticFields[index]
    const at = this.entries.length - (index - staticLength)
    return at < 0 ? undefined : this.entries[at]
  }

  private insert(field: HeaderField): void {
    this.size += field.name.length + field.value.length + entryOverhead
    this.entries.push(field)
    this.changes++
    this.evict()
  }

  private evict(): void {
    let gone = 0
    for (; this.size > this.capacity; gone++) {
      const { name, value } = this.entries[gone]!
      this.size -= name.length + value.length + entryOverhead
    }
    if (gone > 0) this.entries.splice(0, gone)
  }

  private resize(bytes: Buffer): boolean {
    const size = this.integer(bytes, 5)
    if (size < 0 || size > this.limit) return false
    this.capacity = size
    this.changes++
    this.evict()
    return true
  }

  /** §5.1; -1 when it is unfinished or larger than anything sensible. */
  private integer(bytes: Buffer, prefix: number): number {
    const mask = (1 << prefix) - 1
    let value = bytes[this.at++]! & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.at >= this.end) return -1
      const byte = bytes[this.at++]!
      value += (byte & 0x7f) << shift
      if (byte < 128) return value
    }
    return -1
  }

  private text(bytes: Buffer): string | undefined {
    if (this.at >= this.end) return undefined
    const huffman = (bytes[this.at]! & 0x80) !== 0
    const length = this.integer(bytes, 7)
    const start = this.at
    if (length < 0 || start + length > this.end) return undefined
    this.at = start + length
    return huffman ? decodeHuffman(bytes, start, this.at) : bytes.toString("latin1", start, this.at)
  }
}
