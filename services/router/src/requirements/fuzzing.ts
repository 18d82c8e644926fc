/**
 * Sends an edge what nobody should: mutated requests, frames, handshakes, headers of balancers, answers of origins (E17).
 *
 * Owns: making the input from a seed, one case after the other, and asking after each batch whether the edge still serves. Leaves to
 * `E17.integration.test.ts` (a few seconds) and `bench/edge/long/fuzz.ts` (as long as wanted): the edge, and the verdict on it.
 */
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import { corpus } from "../http1/corpus/corpus.ts"
import { fieldCorpus } from "../http2/fieldCorpus.ts"
import { Flag, FrameType, frameHeader, headerFrames, preface, settingsFrame, uint32, windowFrame } from "../http2/frames.ts"
import { encodeFields } from "../testing/encodeFields.ts"
import { Random } from "./random.ts"

export interface FuzzTarget {
  readonly https: number
  readonly http: number
  /** TLS port of an edge that requires a PROXY header. */
  readonly proxied: number
  readonly host: string
}

type Way = "tls" | "h2" | "raw" | "plain" | "proxied"
export interface FuzzCase {
  readonly kind: string
  readonly way: Way
  readonly bytes: Buffer
}

const latin1 = (text: string) => Buffer.from(text, "latin1")
const tokens = [
  "\0",
  "\r\n",
  "\r",
  "\n",
  ":",
  " ",
  "%00",
  "__proto__",
  "constructor",
  "\xff",
  "chunked",
  "-1",
  "18446744073709551616",
  "0x10",
  "\t"
]

/** One small harm: a bit, a byte, a cut, a doubling, a token of those that parsers stumble over. */
const harm = (random: Random, bytes: Buffer): Buffer => {
  const at = random.below(Math.max(1, bytes.length))
  const until = Math.min(bytes.length, at + 1 + random.below(32))
  const [before, piece, after] = [bytes.subarray(0, at), bytes.subarray(at, until), bytes.subarray(until)]
  switch (random.below(7)) {
    case 0: {
      const copy = Buffer.from(bytes)
      if (copy.length > 0) copy[at]! ^= 1 << random.below(8)
      return copy
    }
    case 1:
      return Buffer.concat([before, after])
    case 2:
      return Buffer.concat([before, piece, piece, piece, after])
    case 3:
      return before
    case 4:
      return Buffer.concat([before, latin1(random.pick(tokens)), piece, after])
    case 5:
      return Buffer.concat([before, random.bytes(random.below(20)), piece, after])
    default:
      return Buffer.concat([before, latin1(random.pick(tokens).repeat(random.pick([10, 1000, 20_000]))), after])
  }
}
const harmed = (random: Random, bytes: Buffer): Buffer => {
  let result = bytes
  for (let times = 1 + random.below(4); times > 0; times--) result = harm(random, result)
  return result
}

const chunkedRequest = (random: Random, host: string): Buffer => {
  const chunks = Array.from({ length: random.below(6) }, () => {
    const size = random.pick([1, 5, 16, 4096])
    return `${random.pick([size.toString(16), `0${size.toString(16)}`, `${size.toString(16)};a=b`, "ffffffffffffffff", "-1"])}\r\n${"x".repeat(size)}\r\n`
  })
  return latin1(
    `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join("")}0\r\n${random.pick(["", "A: b\r\n"])}\r\n`
  )
}

const frame = (random: Random): string => {
  const stream = random.pick([0, 1, 3, 5, 7, 2, 0x7fffffff])
  const payload = random.bytes(random.pick([0, 1, 4, 5, 8, 9, 100])).toString("latin1")
  const flags = random.pick([0, 1, 4, 5, 8, 32, 45, 255])
  switch (random.below(8)) {
    case 0:
      return headerFrames(stream, encodeFields([...random.pick(fieldCorpus).fields]), random.once(2))
    case 1:
      return frameHeader(payload.length, FrameType.Headers, flags, stream) + payload
    case 2:
      return frameHeader(payload.length, FrameType.Continuation, flags, stream) + payload
    case 3:
      return settingsFrame([[random.below(10), random.pick([0, 1, 16_384, 0x7fffffff, 0xffffffff])]])
    case 4:
      return windowFrame(stream, random.pick([0, 1, 0x7fffffff]))
    case 5:
      return frameHeader(4, FrameType.RstStream, 0, stream) + uint32(random.below(16))
    case 6:
      return frameHeader(payload.length, FrameType.Data, flags, stream) + payload
    default:
      return frameHeader(random.once(10) ? 0xffffff : payload.length, random.below(256), flags, stream) + payload
  }
}

const http2Bytes = (random: Random): Buffer => {
  const frames = Array.from({ length: 1 + random.below(12) }, () => frame(random)).join("")
  const bytes = latin1(preface.toString("latin1") + settingsFrame([]) + frames)
  return random.once(3) ? harmed(random, bytes) : bytes
}

const u16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255])
const vector = (bytes: Buffer) => Buffer.concat([u16(bytes.length), bytes])

/** A ClientHello of our own making: whole enough to reach OpenSSL when it is not harmed. */
export const clientHello = (random: Random, host: string): Buffer => {
  const name = random.pick([host, host.toUpperCase(), `${host}.`, "", "a\0b.example.org", "x".repeat(300), "__proto__", "*.example.org"])
  const extensions = [
    Buffer.concat([u16(0), vector(vector(Buffer.concat([Buffer.from([0]), vector(latin1(name))])))]),
    Buffer.concat([u16(10), vector(vector(Buffer.concat([u16(29), u16(23)])))]),
    Buffer.concat([u16(13), vector(vector(u16(0x0403)))]),
    Buffer.concat([u16(16), vector(vector(latin1("\x02h2\x08http/1.1")))]),
    Buffer.concat([u16(43), vector(Buffer.from([2, 3, 4]))]),
    Buffer.concat([u16(51), vector(vector(Buffer.concat([u16(29), vector(random.bytes(32))])))]),
    Buffer.concat([u16(random.below(65_536)), vector(random.bytes(random.below(200)))])
  ].filter(() => !random.once(6))
  const body = Buffer.concat([
    ...[u16(0x0303), random.bytes(32), Buffer.from([32]), random.bytes(32), vector(Buffer.concat([u16(0x1301), u16(0xc02b)]))],
    ...[Buffer.from([1, 0]), vector(Buffer.concat(extensions))]
  ])
  const message = Buffer.concat([Buffer.from([1, 0]), vector(body)])
  const size = random.pick([message.length, 1, 50, 200])
  const records: Array<Buffer> = []
  for (let at = 0; at < message.length; at += size)
    records.push(Buffer.concat([Buffer.from([22, 3, 1]), vector(message.subarray(at, at + size))]))
  return Buffer.concat(records)
}

const proxyHeader = (random: Random): Buffer =>
  random.once(2)
    ? latin1(`PROXY ${random.pick(["TCP4", "TCP6", "UNKNOWN", "UDP4"])} 192.0.2.7 192.0.2.1 ${random.below(70_000)} 443\r\n`)
    : Buffer.concat([
        latin1("\r\n\r\n\0\r\nQUIT\n"),
        Buffer.from([0x20 | random.below(3), random.pick([0, 0x11, 0x21, 0x12])]),
        vector(random.bytes(random.below(60)))
      ])

/** The case with this number of this seed; the same for ever. */
export const fuzzCase = (seed: number, number: number, host: string): FuzzCase => {
  const random = new Random(seed * 1_000_003 + number * 7919 + 1)
  for (let skip = 0; skip < 4; skip++) random.below(2)
  switch (random.below(7)) {
    case 0:
      return { kind: "HTTP/1 over TLS", way: "tls", bytes: harmed(random, latin1(random.pick(corpus).bytes)) }
    case 1:
      return { kind: "HTTP/1 on port 80", way: "plain", bytes: harmed(random, latin1(random.pick(corpus).bytes)) }
    case 2: {
      const request = chunkedRequest(random, host)
      return { kind: "chunked", way: "tls", bytes: random.once(2) ? request : harmed(random, request) }
    }
    case 3:
      return { kind: "HTTP/2", way: "h2", bytes: http2Bytes(random) }
    case 4: {
      const block = harmed(random, latin1(encodeFields([...random.pick(fieldCorpus).fields])))
        .subarray(0, 16_384)
        .toString("latin1")
      const head = frameHeader(block.length, FrameType.Headers, Flag.EndHeaders | Flag.EndStream, 1)
      return { kind: "HPACK", way: "h2", bytes: latin1(preface.toString("latin1") + settingsFrame([]) + head + block) }
    }
    case 5: {
      const hello = clientHello(random, host)
      return { kind: "ClientHello", way: "raw", bytes: random.once(4) ? hello : harmed(random, hello) }
    }
    default:
      return {
        kind: "PROXY header",
        way: "proxied",
        bytes: Buffer.concat([harmed(random, proxyHeader(random)), clientHello(random, host)])
      }
  }
}

const openFor = ({ host, http, https, proxied }: FuzzTarget, way: Way): Socket => {
  if (way === "plain") return connectTcp(http, "127.0.0.1")
  if (way === "raw") return connectTcp(https, "127.0.0.1")
  if (way === "proxied") return connectTcp(proxied, "127.0.0.1")
  const ALPNProtocols = [way === "h2" ? "h2" : "http/1.1"]
  return connectTls({ host: "127.0.0.1", port: https, servername: host, rejectUnauthorized: false, ALPNProtocols })
}

const patienceMillis = 400

/** Sends a case and waits for the edge to be done with it, for a moment at most: it may well wait for the rest. */
export const send = (target: FuzzTarget, one: FuzzCase): Promise<void> =>
  new Promise((resolve) => {
    const socket = openFor(target, one.way)
    const timer = setTimeout(() => socket.destroy(), patienceMillis)
    socket.on("error", () => {}).on("data", () => {})
    socket.on("close", () => {
      clearTimeout(timer)
      resolve()
    })
    socket.on(one.way === "tls" || one.way === "h2" ? "secureConnect" : "connect", () => socket.end(one.bytes))
  })
