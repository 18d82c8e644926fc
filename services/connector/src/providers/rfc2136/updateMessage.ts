/**
 * A plan as one UPDATE message (RFC 2136): what must stand as prerequisites, what shall stand as deletions and additions. The server does
 * all of it or nothing.
 *
 * Pure.
 */
import type { Change } from "@connect-domain/dns-provider/ChangePlan.ts"
import { classes, encodeData, encodeName, encodeRecord, isWritable, types, type WritableType } from "./wire.ts"

/** A change of a type that this provider can't write. */
export class UnwritableType extends Error {}

const typeOf = (change: Change): WritableType => {
  if (isWritable(change.type)) return change.type
  throw new UnwritableType(change.type)
}
const none = Buffer.alloc(0)

/** §2.4: with values, the set must hold exactly these (2.4.2); without, it must not exist (2.4.3). */
const prerequisites = (change: Change): ReadonlyArray<Buffer> => {
  const type = typeOf(change)
  const at = { name: change.name, type: types[type], ttl: 0 }
  if (change.expect.length === 0) return [encodeRecord({ ...at, class: classes.NONE, data: none })]
  return change.expect.map((value) => encodeRecord({ ...at, class: classes.IN, data: encodeData(type, value) }))
}

/** §2.5.2: the whole set goes; §2.5.1: then each value comes. */
const updates = (change: Change): ReadonlyArray<Buffer> => {
  const type = typeOf(change)
  const at = { name: change.name, type: types[type] }
  const gone = encodeRecord({ ...at, class: classes.ANY, ttl: 0, data: none })
  return [
    gone,
    ...change.values.map((value) => encodeRecord({ ...at, class: classes.IN, ttl: Math.max(change.ttl, 1), data: encodeData(type, value) }))
  ]
}

/** Removals come first: an addition beside a CNAME would be ignored in silence (§3.4.2.2). */
export const encodeUpdate = (id: number, zone: string, changes: ReadonlyArray<Change>): Buffer => {
  const ordered = [...changes].sort((a, b) => Math.min(a.values.length, 1) - Math.min(b.values.length, 1))
  return message(id, zone, ordered.flatMap(prerequisites), ordered.flatMap(updates))
}

/** Removes a set that does not exist: changes nothing, and shows whether the key may write at that name. */
export const encodeTrial = (id: number, zone: string, name: string): Buffer =>
  message(id, zone, [], [encodeRecord({ name, type: types.TXT, class: classes.ANY, ttl: 0, data: none })])

const message = (id: number, zone: string, conditions: ReadonlyArray<Buffer>, changes: ReadonlyArray<Buffer>): Buffer => {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(5 << 11, 2) // opcode UPDATE
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(conditions.length, 6)
  header.writeUInt16BE(changes.length, 8)
  const question = Buffer.alloc(4)
  question.writeUInt16BE(types.SOA, 0)
  question.writeUInt16BE(classes.IN, 2)
  return Buffer.concat([header, encodeName(zone), question, ...conditions, ...changes])
}
