/**
 * Fields to bytes and back, small: what most fields are (UUIDs, hexadecimal serials, times, short names) takes less than its text.
 *
 * Owns: the form of a field; what goes in comes out, character by character. Leaves to `hostnameRecord.ts` and `certificateRecord.ts`: which fields.
 *
 * A text is a byte that says how it stands: 0 none, 1 UUID, 2 and 3 lower- and upper-case hexadecimal, 4 UTF-8, 5 a time (ISO 8601 with
 * milliseconds, UTC), 6 a sealed value (`v1.id.base64url.base64url`), from 8 on ASCII with so many characters and 8.
 */
const none = 0
const uuid = 1
const lowerHex = 2
const upperHex = 3
const utf8 = 4
const time = 5
const sealed = 6
const ascii = 8
const maxAscii = 247

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const lowerHexForm = /^(?:[0-9a-f]{2}){4,200}$/
const upperHexForm = /^(?:[0-9A-F]{2}){4,200}$/
const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const asciiForm = /^[\x20-\x7e]*$/

export class Packer {
  private buffer = Buffer.allocUnsafeSlow(64 * 1024)
  private at = 0

  /** What was put since the last call, in a buffer that is used again: copy or store it before the next put. */
  take(): Buffer {
    const taken = this.buffer.subarray(0, this.at)
    this.at = 0
    return taken
  }

  private room(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
  }

  /** A whole number of at least 0, seven bits a byte. */
  count(value: number): void {
    this.room(8)
    let rest = value
    while (rest >= 128) {
      this.buffer[this.at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.buffer[this.at++] = rest
  }

  double(value: number): void {
    this.room(8)
    this.at = this.buffer.writeDoubleLE(value, this.at)
  }

  bytes(value: Uint8Array): void {
    this.count(value.length)
    this.room(value.length)
    this.buffer.set(value, this.at)
    this.at += value.length
  }

  private kind(kind: number): void {
    this.room(1)
    this.buffer[this.at++] = kind
  }

  text(value: string | null): void {
    if (value === null) this.kind(none)
    else if (value.length === 36 && uuidForm.test(value)) {
      this.kind(uuid)
      this.room(16)
      this.at += this.buffer.write(value.replaceAll("-", ""), this.at, "hex")
    } else if (value.length === 24 && isTime(value)) {
      this.kind(time)
      this.double(Date.parse(value))
    } else if (lowerHexForm.test(value) || upperHexForm.test(value)) {
      this.kind(lowerHexForm.test(value) ? lowerHex : upperHex)
      this.count(value.length / 2)
      this.room(value.length / 2)
      this.at += this.buffer.write(value, this.at, "hex")
    } else this.anyText(value)
  }

  private anyText(value: string): void {
    if (value.length > maxAscii || !asciiForm.test(value)) {
      this.kind(utf8)
      this.bytes(Buffer.from(value, "utf8"))
      return
    }
    this.kind(ascii + value.length)
    this.room(value.length)
    this.at += this.buffer.write(value, this.at, "latin1")
  }

  /** A text that mostly is what `Vault.seal` made. */
  sealed(value: string): void {
    const [version, id, ...parts] = value.split(".")
    const bytes = parts.map((part) => Buffer.from(part, "base64url"))
    const back = [version, id, ...bytes.map((each) => each.toString("base64url"))].join(".")
    if (version !== "v1" || parts.length !== 2 || back !== value) {
      this.text(value)
      return
    }
    this.kind(sealed)
    this.anyText(id!)
    for (const each of bytes) this.bytes(each)
  }
}

const isTime = (value: string): boolean => {
  if (!timeForm.test(value)) return false
  const millis = Date.parse(value)
  return !Number.isNaN(millis) && new Date(millis).toISOString() === value
}

export class Unpacker {
  private readonly buffer: Buffer
  private at = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  count(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.buffer[this.at++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }

  double(): number {
    this.at += 8
    return this.buffer.readDoubleLE(this.at - 8)
  }

  /** In place: copy what shall outlive the record. */
  bytes(): Buffer {
    const length = this.count()
    this.at += length
    return this.buffer.subarray(this.at - length, this.at)
  }

  text(): string | null {
    const kind = this.buffer[this.at++]!
    if (kind >= ascii) {
      const start = this.at
      this.at += kind - ascii
      return this.buffer.toString("latin1", start, this.at)
    }
    if (kind === none) return null
    if (kind === uuid) return this.uuid()
    if (kind === time) return new Date(this.double()).toISOString()
    if (kind === lowerHex) return this.bytes().toString("hex")
    if (kind === upperHex) return this.bytes().toString("hex").toUpperCase()
    if (kind === utf8) return this.bytes().toString("utf8")
    return `v1.${this.text()}.${this.bytes().toString("base64url")}.${this.bytes().toString("base64url")}`
  }

  /** Passes over a text; gives back where it ended. */
  passOver(): number {
    const kind = this.buffer[this.at++]!
    if (kind >= ascii) this.at += kind - ascii
    else if (kind === uuid) this.at += 16
    else if (kind === time) this.at += 8
    else if (kind === sealed) {
      this.passOver()
      this.bytes()
      this.bytes()
    } else if (kind !== none) this.bytes()
    return this.at
  }

  private uuid(): string {
    const hex = this.buffer.toString("hex", this.at, this.at + 16)
    this.at += 16
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
}
