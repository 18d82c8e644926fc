/**
 * Names that nobody may onboard, whoever asks (requirement D7).
 *
 * Owns: the table of special-use names (RFC 6761 and its registry, RFC 8375, RFC 9476) and of endings that ICANN keeps undelegated
 * because private networks use them. Leaves to `Hostname.ts`: public suffixes and the installation's own names.
 */

/** A name that ends here is refused. `test` is left out by the sandbox's policy, which is the only place where it means anything. */
export const specialUse: ReadonlyMap<string, string> = new Map([
  ["test", "RFC 6761"],
  ["localhost", "RFC 6761"],
  ["invalid", "RFC 6761"],
  ["example", "RFC 6761"],
  ["local", "RFC 6762, multicast DNS"],
  ["onion", "RFC 7686"],
  ["alt", "RFC 9476"],
  ["internal", "reserved by ICANN for private use"],
  ["arpa", "infrastructure, RFC 3172"],
  ["home", "never delegated: ICANN 2018"],
  ["corp", "never delegated: ICANN 2018"],
  ["mail", "never delegated: ICANN 2018"],
  ["lan", "used by private networks"],
  ["localdomain", "used by private networks"],
  ["intranet", "used by private networks"],
  ["private", "used by private networks"],
  ["workgroup", "used by private networks"]
])
