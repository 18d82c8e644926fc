/**
 * The request target and the Host line (RFC 9112 §3.2, RFC 9110 §7.2).
 *
 * Owns: which targets are served and what is forwarded for them; the split of Host into name and port. Leaves to `HostNames.ts`: whether the
 * name is a hostname. Built against: a target that says one host and a Host line that says another, and `Host: a:443@evil`.
 */
import { type Refusal, refuse } from "./Refusal.ts"

// RFC 3986 §3.3 and §3.4, plus what browsers send raw: in a path `[ ] | ^ ` { }`, in a query also `\`.
const path = /^\/[!$&'()*+,\-./0-9:;=@A-Z_a-z~%[\]|^`{}]*$/
const query = /^[!$&'()*+,\-./0-9:;=@A-Z_a-z~%[\]|^`{}?\\]*$/
const badPercent = /%(?![0-9A-Fa-f]{2})|%00/
/** Bytes of most targets: with these alone, and no two dots in a row, nothing needs a closer look. */
const simpleByte = new Uint8Array(128)
for (const character of "!$&'()*+,-./:;=@_~?") simpleByte[character.charCodeAt(0)] = 1
for (let code = 0; code < 128; code++) if (/[A-Za-z0-9]/.test(String.fromCharCode(code))) simpleByte[code] = 1
const dot = 46

const isSimple = (target: string): boolean => {
  let before = 0
  for (let at = 0; at < target.length; at++) {
    const code = target.charCodeAt(at)
    if (code > 127 || simpleByte[code] === 0 || (code === dot && before === dot)) return false
    before = code
  }
  return target.charCodeAt(0) === 47
}

const mayClimb = /(?:\.|%2e)(?:\.|%2e)/i
/** `..` that leads above the root, also when it is written in percent forms: some servers refuse it, others stop at the root. */
const climbs = (before: string): boolean => {
  if (!mayClimb.test(before)) return false
  let depth = 0
  for (const segment of before.replace(/%2e/gi, ".").split(/\/|%2f/i)) {
    if (segment === "..") depth--
    else if (segment !== "" && segment !== ".") depth++
    if (depth < 0) return true
  }
  return false
}

/** An origin-form target that may be forwarded as it stands. */
export const checkOriginForm = (target: string): Refusal | undefined => {
  if (isSimple(target)) return undefined
  if (target.includes("#")) return refuse(400, "fragment-in-target")
  const mark = target.indexOf("?")
  const before = mark < 0 ? target : target.slice(0, mark)
  if (!path.test(before)) return refuse(400, "byte-in-target")
  if (badPercent.test(before)) return refuse(400, "percent-in-path")
  if (climbs(before)) return refuse(400, "path-above-root")
  return mark < 0 || query.test(target.slice(mark + 1)) ? undefined : refuse(400, "byte-in-target")
}

export interface Target {
  /** Origin-form or `*`. */
  readonly target: string
  /** The authority of an absolute-form target, which must name the same host as the Host line; "" otherwise. */
  readonly authority: string
}

const absolute = /^https?:\/\/([^/?#]*)(.*)$/is

/** RFC 9112 §3.2: the four forms. Authority-form belongs to CONNECT, which an edge refuses before it comes here. */
export const readTarget = (method: string, target: string): Target | Refusal => {
  if (target.charCodeAt(0) === 47) return checkOriginForm(target) ?? { target, authority: "" }
  if (target === "*") return method === "OPTIONS" ? { target, authority: "" } : refuse(400, "asterisk-target")
  const parts = absolute.exec(target)
  if (parts === null) return refuse(400, "target-form")
  const authority = parts[1]!
  const rest = parts[2]!
  if (authority === "") return refuse(400, "target-without-host")
  const asterisk = method === "OPTIONS" && rest === "" // RFC 9112 §3.2.4: the last proxy turns an empty path of OPTIONS into `*`
  const origin = asterisk ? "*" : rest.startsWith("/") ? rest : `/${rest}`
  if (asterisk) return { target: origin, authority }
  return checkOriginForm(origin) ?? { target: origin, authority }
}

export interface Authority {
  readonly name: string
  /** Digits without leading zeros, or "" when absent. */
  readonly port: string
}

const authorityForm = /^([^:@/?#[\]\s]+)(?::([0-9]{1,5}))?$/

/** `name[:port]`; undefined for anything else: user information, brackets, an empty or impossible port. */
export const readAuthority = (value: string): Authority | undefined => {
  const parts = authorityForm.exec(value)
  if (parts === null) return undefined
  const port = parts[2]
  if (port === undefined) return { name: parts[1]!, port: "" }
  const number = Number(port)
  return number >= 1 && number <= 65_535 ? { name: parts[1]!, port: String(number) } : undefined
}
