/**
 * From a connection's header blocks to the heads of its requests.
 *
 * Owns: its HPACK table, and knowing the last request's block again, with another path too: equal bytes with an unchanged table are equal fields (RFC 7541
 * §2.2: a decoder needs to know nothing else), which were judged already. What a client says of itself, and of what it wants, changes seldom from one
 * request to the next. The counterpart of `http1/LastHead.ts`. Leaves to `HeaderBlocks.ts`: putting blocks together. Built against: a table that changed
 * in between, and memory that an idle connection would keep: the block and its head are small, the bytes a copy.
 */
import { maxFieldLines, maxHeadBytes } from "../http1/fields.ts"
import { isRefusal, type Refusal, refuse } from "../http1/Refusal.ts"
import { type RequestHead, withTarget } from "../http1/requestHead.ts"
import type { HeaderBlock } from "./HeaderBlocks.ts"
import { type DecodedBlock, HpackDecoder } from "./hpack/HpackDecoder.ts"
import { readHttp2Fields } from "./readFields.ts"

export const tooLarge = refuse(431, "head-too-large")

/** Bytes of a block; one in which only the path is not in the table has far fewer. */
const mostBytes = 128
/** Bytes of another path. */
const mostPath = 1024
/** Characters of the path and the lines that it unfolds to: more than a browser's without cookies. */
const mostText = 1024

export class RequestHeads {
  private readonly decoder: HpackDecoder
  /** What of `bytes` is the last block; -1: there is none. */
  private length = -1
  private bytes: Uint8Array | undefined
  private ended = false
  /** Where its path begins and ends. */
  private pathStart = 0
  private pathEnd = 0
  private head: RequestHead | undefined

  /** `tableSize`: SETTINGS_HEADER_TABLE_SIZE that was offered. */
  constructor(tableSize: number) {
    this.decoder = new HpackDecoder(tableSize)
  }

  /** Of any block; undefined: a compression error, which ends the connection. */
  decode({ bytes, start, end }: HeaderBlock): DecodedBlock | undefined {
    const { changes } = this.decoder
    const list = this.decoder.decode(bytes, maxHeadBytes, maxFieldLines, start, end)
    if (this.decoder.changes !== changes) this.forget()
    return list
  }

  /** Of a request's block; undefined: a compression error. */
  read(block: HeaderBlock): RequestHead | Refusal | undefined {
    if (this.isLast(block)) return this.head
    const other = this.findOther(block)
    if (other !== undefined) return other
    const { changes } = this.decoder
    const list = this.decode(block)
    if (list === undefined) return undefined
    const head = list.tooLarge ? tooLarge : readHttp2Fields(list.fields, block.ended)
    if (this.decoder.changes === changes && !isRefusal(head)) this.keep(block, head)
    return head
  }

  private isLast({ bytes, start, end, ended }: HeaderBlock): boolean {
    const length = end - start
    if (this.length !== length || this.ended !== ended) return false
    const last = this.bytes!
    for (let at = 0; at < length; at++) if (last[at] !== bytes[start + at]) return false
    return true
  }

  /** Of a block that differs from the last one in the path alone. */
  private findOther({ bytes, start, end, ended }: HeaderBlock): RequestHead | undefined {
    const { head, length, pathEnd, pathStart } = this
    const [from, to] = [start + pathStart, end - (length - pathEnd)]
    if (head === undefined || this.ended !== ended || to < from || to - from > mostPath) return undefined
    const last = this.bytes!
    for (let at = 0; at < pathStart; at++) if (last[at] !== bytes[start + at]) return undefined
    for (let at = pathEnd; at < length; at++) if (last[at] !== bytes[to - pathEnd + at]) return undefined
    const path = this.decoder.readPath(bytes, from, to)
    return path === undefined ? undefined : withTarget(head, path)
  }

  /** With another table the last block would mean something else. */
  private forget(): void {
    this.length = -1
    this.head = undefined
  }

  private keep({ bytes, start, end, ended }: HeaderBlock, head: RequestHead): void {
    const length = end - start
    if (length > mostBytes || head.kept.length + head.target.length > mostText) return
    this.bytes ??= new Uint8Array(mostBytes)
    for (let at = 0; at < length; at++) this.bytes[at] = bytes[start + at]!
    this.length = length
    this.pathStart = this.decoder.pathStart
    this.pathEnd = this.decoder.pathEnd
    this.ended = ended
    this.head = head
  }
}
