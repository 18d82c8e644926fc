/**
 * Host names as clients spell them, to their canonical form.
 *
 * Owns: a memory of spellings without their ports, so that a request costs one map look-up. Leaves to libs/domain: the one canonicaliser (D6).
 */
import { parseHostname } from "@connect-domain/domain/Hostname.ts"
import { Result } from "effect"
import { Spellings } from "./Spellings.ts"
import { readAuthority } from "./target.ts"

/** A Host or `:authority`, canonical. */
export interface HostAndPort {
  readonly host: string
  /** Digits without leading zeros, or "" when absent. */
  readonly port: string
}

const ascii = /^[A-Za-z0-9][\x21-\x7e]*$/

const withoutPort = new Spellings<HostAndPort>(65_536, (spelling) => {
  // On the wire a name is ASCII (RFC 9110 §4.2.3, RFC 6066 §3): bytes above 127 are no letters that could be mapped.
  const parsed = ascii.test(spelling) ? parseHostname(spelling) : undefined
  return { host: parsed !== undefined && Result.isSuccess(parsed) ? parsed.success : "", port: "" }
})

/** The canonical name, or "" when the text is no host name (an IP address, an underscore, a wildcard, too long, …). */
export const canonicalHost = (spelling: string): string => withoutPort.meaningOf(spelling).host

const hostAndPort = (name: string, port: string): HostAndPort | undefined => {
  const named = withoutPort.meaningOf(name)
  if (named.host === "") return undefined
  return port === "" ? named : { host: named.host, port }
}

/** `name[:port]` as `readAuthority` reads it; undefined when that is no host name. */
export const readHostAndPort = (value: string): HostAndPort | undefined => {
  if (!value.includes(":")) return hostAndPort(value, "")
  const parts = readAuthority(value)
  return parts === undefined ? undefined : hostAndPort(parts.name, parts.port)
}
