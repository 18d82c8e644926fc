/**
 * The `Location` of an origin's answer, as the visitor has to read it (RFC 9110 §10.2.2).
 *
 * Owns: which locations lead to what is served under the visitor's own name: below the origin's path, under the origin's name or the visitor's. An origin that
 * gets the visitor's Host and no path speaks for itself: when it names itself, it means it. Built against: visitors who are led away to the origin, or
 * to a path that holds its prefix twice; and a location that becomes another site's (`//…`): what is rewritten always names the visitor's host.
 */
import type { RequestHead } from "../http1/requestHead.ts"
import type { Origin } from "../origin/Origin.ts"
import { leavesPrefix } from "./originPath.ts"

const line = /^(location:)[\t ]*([^\r\n]*?)[\t ]*\r\n/gim
const absolute = /^(https?):\/\/([^/?#\\]*)(.*)$/i
const defaultPort = { https: /:443$/, http: /:80$/ }

export interface Sought {
  readonly origin: Pick<Origin, "secure" | "authority" | "prefix">
  /** The origin is asked under its own name. */
  readonly hostOfOrigin: boolean
  /** What the visitor asked for. */
  readonly asked: Pick<RequestHead, "host" | "port">
}

/** The path below the prefix, with query and fragment; undefined when it is not below. */
const belowPrefix = (path: string, prefix: string): string | undefined => {
  const rest = path.startsWith(prefix) ? path.slice(prefix.length) : undefined
  if (rest === undefined || (rest !== "" && !"/?#".includes(rest[0]!)) || leavesPrefix(path.split("#")[0]!)) return undefined
  return rest.startsWith("/") ? rest : `/${rest}`
}

/** The new value; undefined: as it is. */
export const visitorLocation = (value: string, { asked, hostOfOrigin, origin }: Sought): string | undefined => {
  const visitor = asked.port === "" ? asked.host : `${asked.host}:${asked.port}`
  const { prefix } = origin
  if (value.startsWith("/")) {
    // `//name` and what some browsers take for it lead elsewhere.
    const below = prefix === "" || /^\/[/\\]/.test(value) ? undefined : belowPrefix(value, prefix)
    return below === undefined ? undefined : `https://${visitor}${below}`
  }
  const [, scheme = "", authority = "", path = ""] = absolute.exec(value) ?? []
  const secure = scheme.toLowerCase() === "https"
  const name = authority.toLowerCase().replace(secure ? defaultPort.https : defaultPort.http, "")
  // An origin on port 80 that leads to its own TLS port would lead there for ever.
  const own = secure === origin.secure && name === origin.authority && (hostOfOrigin || prefix !== "")
  const theirs = secure && name === visitor.replace(defaultPort.https, "") && prefix !== ""
  const below = own || theirs ? belowPrefix(path === "" ? "/" : path, prefix) : undefined
  return below === undefined ? undefined : `https://${visitor}${below}`
}

/** `kept`: field lines, each with CRLF. */
export const withLocation = (kept: string, sought: Sought): string =>
  kept.replace(line, (whole, name: string, value: string) => {
    const location = visitorLocation(value, sought)
    return location === undefined ? whole : `${name} ${location}\r\n`
  })
