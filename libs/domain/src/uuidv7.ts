/**
 * Ids: UUID version 7 (RFC 9562 §5.7), so that rows created together lie together in an index and sort by age.
 *
 * Owns: making them and telling a well-formed one from anything else. Built against: ids made within one millisecond by one process
 * sorting in another order than they were made (a 12-bit counter seeded at random, §6.2 method 1), and clocks that step back.
 */
import { randomFillSync } from "node:crypto"

const bytes = new Uint8Array(16)
/** Random bytes are drawn for 256 ids at once: a draw costs more than an id. */
const pool = new Uint8Array(16 * 256)
let drawn = pool.length
let lastMillis = 0
let counter = 0

const hex: ReadonlyArray<string> = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** A new id, lower-case, greater than every id this process made before. */
export const uuidv7 = (now: number = Date.now()): string => {
  if (drawn === pool.length) {
    randomFillSync(pool)
    drawn = 0
  }
  bytes.set(pool.subarray(drawn, drawn + 16))
  drawn += 16
  if (now > lastMillis) {
    lastMillis = now
    counter = ((bytes[6]! & 0x07) << 8) | bytes[7]! // the top bit stays free, so that at least 2,048 more fit into this millisecond
  } else if (++counter > 0xfff) {
    lastMillis++ // RFC 9562 §6.2: running ahead of the clock is allowed, going back is not
    counter = 0
  }
  const high = Math.floor(lastMillis / 0x1_0000_0000)
  const low = lastMillis >>> 0
  bytes[0] = high >>> 8
  bytes[1] = high & 0xff
  bytes[2] = low >>> 24
  bytes[3] = (low >>> 16) & 0xff
  bytes[4] = (low >>> 8) & 0xff
  bytes[5] = low & 0xff
  bytes[6] = 0x70 | (counter >>> 8)
  bytes[7] = counter & 0xff
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  let text = ""
  for (let index = 0; index < 16; index++) {
    text += hex[bytes[index]!]
    if (index === 3 || index === 5 || index === 7 || index === 9) text += "-"
  }
  return text
}

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Is this an id as we print it: lower-case, with hyphens, any version? Anything else can be answered "not found" without a query. */
export const isUuid = (text: unknown): text is string => typeof text === "string" && form.test(text)
