/**
 * Host names as clients spell them, to their canonical form.
 *
 * Owns: a bounded memory of spellings, so that a request costs one map look-up. Leaves to libs/domain: the one canonicaliser (D6).
 */
import { parseHostname } from "@connect-domain/domain/Hostname.ts"
import { Result } from "effect"
import { readAuthority } from "./target.ts"

/** A Host or `:authority`, canonical. */
export interface HostAndPort {
  readonly host: string
  /** Digits without leading zeros, or "" when absent. */
  readonly port: string
}

const ascii = /^[A-Za-z0-9][\x21-\x7e]*$/
const maxRemembered = 65_536
const remembered = new Map<string, string>()

/** The canonical name, or "" when the text is no host name (an IP address, an underscore, a wildcard, too long, …). */
export const canonicalHost = (spelling: string): string => {
  const known = remembered.get(spelling)
  if (known !== undefined) return known
  // On the wire a name is ASCII (RFC 9110 §4.2.3, RFC 6066 §3): bytes above 127 are no letters that could be mapped.
  const parsed = ascii.test(spelling) ? parseHostname(spelling) : undefined
  const canonical = parsed !== undefined && Result.isSuccess(parsed) ? parsed.success : ""
  if (remembered.size >= maxRemembered) remembered.clear()
  if (spelling.length <= 255) remembered.set(spelling, canonical)
  return canonical
}

const rememberedHosts = new Map<string, HostAndPort>()

/** `name[:port]` as `readAuthority` reads it; undefined when that is no host name. */
export const readHostAndPort = (value: string): HostAndPort | undefined => {
  const known = rememberedHosts.get(value)
  if (known !== undefined) return known
  const parts = readAuthority(value)
  const host = parts === undefined ? "" : canonicalHost(parts.name)
  if (parts === undefined || host === "") return undefined
  const read = { host, port: parts.port }
  if (rememberedHosts.size >= maxRemembered) rememberedHosts.clear()
  rememberedHosts.set(value, read)
  return read
}
