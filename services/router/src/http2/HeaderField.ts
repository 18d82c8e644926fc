/**
 * One field of a request over HTTP/2, judged once however often HPACK repeats it: browsers send nearly all of theirs by reference to the table.
 *
 * Owns: what its name means, whether its value may stand in HTTP, its line of HTTP/1 (RFC 9113 §8.2). Leaves to `readFields.ts`: the list.
 */
import { Field, requestField } from "../http1/fieldNames.ts"
import { isToken } from "../http1/fields.ts"
import { type HostAndPort, readHostAndPort } from "../http1/HostNames.ts"
import { Spellings } from "../http1/Spellings.ts"

/** What HTTP/2 adds to the meanings of names: pseudo-fields, those that it forbids or writes differently, and any whose value is malformed. */
export const Kind = {
  ...Field,
  ...{ UpperCase: 100, NoToken: 101, ConnectionSpecific: 102, Te: 103, Cookie: 104, Pseudo: 105, BadValue: 106 }
} as const

/** Not what `trim` takes: in latin1 the last byte of a UTF-8 letter may be its no-break space. */
export const isSpace = (code: number): boolean => code === 32 || code === 9
const upperCase = /[A-Z]/
const connectionSpecific = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"])
const colon = 58

/** RFC 9113 §8.2.1: no NUL, CR, LF, and no white space around it; RFC 9110 §5.5: no other control bytes. */
const isValue = (value: string): boolean => {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if ((code < 32 && code !== 9) || code === 127) return false
  }
  return !isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(value.length - 1))
}

const classify = (name: string): number => {
  if (name.charCodeAt(0) === colon) return Kind.Pseudo
  if (upperCase.test(name)) return Kind.UpperCase
  if (!isToken(name, 0, name.length)) return Kind.NoToken
  if (connectionSpecific.has(name)) return Kind.ConnectionSpecific
  return name === "te" ? Kind.Te : name === "cookie" ? Kind.Cookie : requestField(name)
}

/** Clients use few names, also in fields that come once. */
const names = new Spellings<number>(4096, classify)

const unknown = -1

export class HeaderField {
  readonly name: string
  readonly value: string
  private judged: number = unknown
  private text = ""
  private uses = 0
  private named: HostAndPort | undefined
  private known: number

  /** `meaning`: of another one with this name. */
  constructor(name: string, value: string, meaning = unknown) {
    this.name = name
    this.value = value
    this.known = meaning
  }

  /** Of its name alone. */
  get meaning(): number {
    if (this.known === unknown) this.known = names.meaningOf(this.name)
    return this.known
  }

  get kind(): number {
    if (this.judged === unknown) this.judged = isValue(this.value) ? this.meaning : Kind.BadValue
    return this.judged
  }

  /** The value of an `:authority` or a Host; undefined when it is none. */
  get host(): HostAndPort | undefined {
    this.named ??= readHostAndPort(this.value)
    return this.named
  }

  /** With its CRLF. What is asked for again is worth having in one piece, which V8 would otherwise make anew for each request. */
  get line(): string {
    if (this.uses > 1) return this.text
    this.uses++
    const line = `${this.name}: ${this.value}\r\n`
    if (this.uses > 1) this.text = Buffer.from(line, "latin1").toString("latin1")
    return line
  }
}

/** From name, value, name, value … */
export const fieldsOf = (flat: ReadonlyArray<string>): Array<HeaderField> => {
  const fields: Array<HeaderField> = []
  for (let at = 0; at < flat.length; at += 2) fields.push(new HeaderField(flat[at]!, flat[at + 1]!))
  return fields
}
