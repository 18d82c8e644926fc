/** The vendor's HSTS on an origin's answer (RFC 6797 §6.1: at most one such field). Only the TLS listener's exchanges come here (§7.2). */

const field = /^strict-transport-security[\t ]*:/i
const anyField = /strict-transport-security/i

/** `kept`: field lines, each with CRLF; `line`: `Policy.hsts`; "" leaves everything to the origin. */
export const withHsts = (kept: string, line: string): string => {
  if (line === "") return kept
  if (!anyField.test(kept)) return kept + line
  return (
    kept
      .split(/(?<=\n)/)
      .filter((one) => !field.test(one))
      .join("") + line
  )
}
