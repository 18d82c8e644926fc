/**
 * Host names as clients spell them, to their canonical form.
 *
 * Owns: a bounded memory of spellings, so that a request costs one map look-up. Leaves to libs/domain: the one canonicaliser (D6).
 */
import { parseHostname } from "@connect-domain/domain/Hostname.ts"
import { Result } from "effect"

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
