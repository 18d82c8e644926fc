/**
 * Transaction signatures (RFC 8945): our request is signed, and the answer's signature is verified before it is believed.
 *
 * Pure, but for the time that it is given. Built against: an answer of somebody between us and the server who says that all went well.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { classes, encodeName, encodeRecord, lastRecord, readName, types } from "./wire.ts"

/** RFC 8945 §6, without MD5. */
export const algorithms = {
  "hmac-sha1": "sha1",
  "hmac-sha224": "sha224",
  "hmac-sha256": "sha256",
  "hmac-sha384": "sha384",
  "hmac-sha512": "sha512"
} as const
export type Algorithm = keyof typeof algorithms
export const isAlgorithm = (text: string): text is Algorithm => Object.hasOwn(algorithms, text)

export type TsigKey = { readonly name: string; readonly algorithm: Algorithm; readonly secret: Buffer }
/** Seconds by which two clocks may differ (RFC 8945 §10 recommends 300). */
const fudge = 300

const time48 = (seconds: number): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(seconds, 0, 6)
  return bytes
}

/** §4.3.3: what stands in the record beside the MAC, in canonical form. */
const variables = (key: TsigKey, signed: Buffer, error: number, other: Buffer): Buffer => {
  const fixed = Buffer.alloc(6)
  fixed.writeUInt16BE(classes.ANY, 0) // class; then TTL 0
  const tail = Buffer.alloc(6)
  tail.writeUInt16BE(fudge, 0)
  tail.writeUInt16BE(error, 2)
  tail.writeUInt16BE(other.length, 4)
  return Buffer.concat([encodeName(key.name), fixed, encodeName(key.algorithm), signed, tail, other])
}

const mac = (key: TsigKey, ...parts: ReadonlyArray<Buffer>): Buffer =>
  createHmac(algorithms[key.algorithm], key.secret).update(Buffer.concat(parts)).digest()

const prefixed = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

export const sign = (message: Buffer, key: TsigKey, nowSeconds: number): { readonly message: Buffer; readonly mac: Buffer } => {
  const signed = time48(nowSeconds)
  const digest = mac(key, message, variables(key, signed, 0, Buffer.alloc(0)))
  const id = message.subarray(0, 2)
  const times = Buffer.alloc(2)
  times.writeUInt16BE(fudge)
  const data = Buffer.concat([encodeName(key.algorithm), signed, times, prefixed(digest), id, Buffer.alloc(4)])
  const whole = Buffer.concat([message, encodeRecord({ name: key.name, type: types.TSIG, class: classes.ANY, ttl: 0, data })])
  whole.writeUInt16BE(whole.readUInt16BE(10) + 1, 10)
  return { message: whole, mac: digest }
}

/** `refused`: the server's own TSIG error (16 bad signature, 17 bad key, 18 bad time). `forged`: the answer is not the server's. */
export type Verification = { readonly kind: "valid" } | { readonly kind: "refused"; readonly error: number } | { readonly kind: "forged" }

const forged: Verification = { kind: "forged" }

/** §5.4: the answer's MAC covers the request's MAC, so an answer belongs to one request. Never throws. */
export const verify = (answer: Buffer, key: TsigKey, requestMac: Buffer, nowSeconds: number): Verification => {
  try {
    return check(answer, key, requestMac, nowSeconds)
  } catch {
    return forged
  }
}

const check = (answer: Buffer, key: TsigKey, requestMac: Buffer, nowSeconds: number): Verification => {
  const last = lastRecord(answer)
  if (last === undefined || last.type !== types.TSIG) return forged
  const owner = readName(answer, last.start)
  const { name: algorithm, end } = readName(last.data, 0)
  const signed = last.data.subarray(end, end + 6)
  const theirFudge = last.data.readUInt16BE(end + 6)
  const macLength = last.data.readUInt16BE(end + 8)
  const given = last.data.subarray(end + 10, end + 10 + macLength)
  const rest = end + 10 + macLength
  const originalId = last.data.subarray(rest, rest + 2)
  const error = last.data.readUInt16BE(rest + 2)
  const other = last.data.subarray(rest + 6, rest + 6 + last.data.readUInt16BE(rest + 4))
  if (rest + 6 + last.data.readUInt16BE(rest + 4) !== last.data.length) return forged
  // §5.3.2: bad key and bad signature come unsigned; they can only ever make us fail.
  if (error !== 0 && macLength === 0) return { kind: "refused", error }
  if (owner.name !== key.name || algorithm !== key.algorithm) return forged
  const bare = Buffer.concat([originalId, answer.subarray(2, last.start)])
  bare.writeUInt16BE(bare.readUInt16BE(10) - 1, 10)
  const values = variables(key, signed, error, other)
  values.writeUInt16BE(theirFudge, values.length - other.length - 6)
  const expected = mac(key, prefixed(requestMac), bare, values)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return forged
  if (error !== 0) return { kind: "refused", error }
  return Math.abs(nowSeconds - signed.readUIntBE(0, 6)) > theirFudge ? forged : { kind: "valid" }
}
