/**
 * DNS wire form as far as updates need it: names, record data, and walking over a message that came back (RFC 1035 §4, RFC 2136 §2).
 *
 * Pure. `dns-packet` knows neither class NONE nor empty record data, which updates are made of; it still decodes answers to questions.
 */
import { isIPv4 } from "node:net"

export const types = { A: 1, NS: 2, CNAME: 5, SOA: 6, MX: 15, TXT: 16, AAAA: 28, SRV: 33, TSIG: 250, ANY: 255, CAA: 257 } as const
export const classes = { IN: 1, NONE: 254, ANY: 255 } as const
export type WritableType = "A" | "AAAA" | "CNAME" | "TXT" | "MX" | "CAA" | "NS" | "SRV"
const writable: ReadonlySet<string> = new Set<WritableType>(["A", "AAAA", "CNAME", "TXT", "MX", "CAA", "NS", "SRV"])
export const isWritable = (type: string): type is WritableType => writable.has(type)

export const encodeName = (name: string): Buffer => {
  const labels = name
    .replace(/\.$/, "")
    .split(".")
    .filter((label) => label !== "")
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    Buffer.from([0])
  ])
}

const uint16 = (...numbers: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(numbers.length * 2)
  numbers.forEach((number, at) => void bytes.writeUInt16BE(number, at * 2))
  return bytes
}

const encodeAddress6 = (address: string): Buffer => {
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = "", tail] = groups.split("::")
  const part = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)))
  const front = part(head)
  const back = tail === undefined ? [] : part(tail)
  return uint16(...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back)
}

const characterStrings = (text: string): Buffer => {
  const bytes = Buffer.from(text, "utf8")
  const parts: Array<Buffer> = []
  for (let at = 0; at < bytes.length || at === 0; at += 255) {
    const part = bytes.subarray(at, at + 255)
    parts.push(Buffer.from([part.length]), part)
  }
  return Buffer.concat(parts)
}

/** A value in our form (`10 mx.example`, `0 issue "ca.example"`, unquoted TXT) to record data. Throws for text that is none. */
export const encodeData = (type: WritableType, value: string): Buffer => {
  const words = value.split(/\s+/)
  switch (type) {
    case "A":
      if (!isIPv4(value)) throw new Error("not an IPv4 address")
      return Buffer.from(value.split(".").map(Number))
    case "AAAA":
      return encodeAddress6(value)
    case "CNAME":
    case "NS":
      return encodeName(value)
    case "TXT":
      return characterStrings(value)
    case "MX":
      return Buffer.concat([uint16(Number(words[0])), encodeName(words[1] ?? "")])
    case "SRV":
      return Buffer.concat([uint16(Number(words[0]), Number(words[1]), Number(words[2])), encodeName(words[3] ?? "")])
    case "CAA": {
      const [, flags = "0", tag = "", quoted = ""] = /^(\d+)\s+(\S+)\s+"?(.*?)"?$/s.exec(value) ?? []
      return Buffer.concat([Buffer.from([Number(flags), tag.length]), Buffer.from(tag, "latin1"), Buffer.from(quoted, "utf8")])
    }
  }
}

export const encodeRecord = (record: {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly data: Buffer
}): Buffer => {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(record.type, 0)
  fixed.writeUInt16BE(record.class, 2)
  fixed.writeUInt32BE(record.ttl, 4)
  fixed.writeUInt16BE(record.data.length, 8)
  return Buffer.concat([encodeName(record.name), fixed, record.data])
}

/** The offset after the name at `at`. */
const skipName = (message: Buffer, at: number): number => {
  for (let offset = at; ; ) {
    const length = message[offset]
    if (length === undefined) throw new Error("message ends inside a name")
    if ((length & 0xc0) === 0xc0) return offset + 2
    if (length === 0) return offset + 1
    offset += 1 + length
  }
}

/** Name, uncompressed labels only, as in the parts of a TSIG record; with the offset after it. */
export const readName = (message: Buffer, at: number): { readonly name: string; readonly end: number } => {
  const labels: Array<string> = []
  for (let offset = at; ; ) {
    const length = message[offset]
    if (length === undefined || length > 63) throw new Error("not an uncompressed name")
    if (length === 0) return { name: labels.join(".").toLowerCase(), end: offset + 1 }
    labels.push(message.toString("latin1", offset + 1, offset + 1 + length))
    offset += 1 + length
  }
}

/** Where the message's last record begins, its type, and its data; undefined when the additional section is empty. */
export const lastRecord = (message: Buffer): { readonly start: number; readonly type: number; readonly data: Buffer } | undefined => {
  const counts = [4, 6, 8, 10].map((at) => message.readUInt16BE(at))
  let at = 12
  for (let left = counts[0]!; left > 0; left--) at = skipName(message, at) + 4
  const records = counts[1]! + counts[2]! + counts[3]!
  if (counts[3] === 0) return undefined
  for (let left = records; left > 0; left--) {
    const fixed = skipName(message, at)
    const end = fixed + 10 + message.readUInt16BE(fixed + 8)
    if (end > message.length) throw new Error("message ends inside a record")
    if (left === 1) return { start: at, type: message.readUInt16BE(fixed), data: message.subarray(fixed + 10, end) }
    at = end
  }
  return undefined
}
