/**
 * A zone, and a record set as a provider holds it.
 *
 * Owns: the shapes that cross a provider's border, and when two values of a set are the same. The type is any type that a zone may hold:
 * what we don't write must still be seen, since a CNAME can't stand beside it. Leaves what is desired to `libs/domain`.
 */
import { normaliseValue, type RecordType } from "@connect-domain/domain/DnsRecord.ts"
import { baseOf } from "@connect-domain/domain/Hostname.ts"

/** `name` without trailing dot; `id` is the provider's own handle, the name where it has none. */
export type Zone = { readonly name: string; readonly id: string }
/** Name absolute, lower-case, without trailing dot; TTL in seconds; TXT values unquoted, one string per record. */
export type RecordSet = { readonly name: string; readonly type: string; readonly ttl: number; readonly values: ReadonlyArray<string> }

const known: ReadonlySet<string> = new Set<RecordType>(["A", "AAAA", "CNAME", "TXT", "MX", "CAA", "NS", "SRV", "ALIAS"])
const isKnown = (type: string): type is RecordType => known.has(type)

/** TXT values are compared as they are: a provider's text form is undone where it is read. */
export const normalise = (type: string, value: string): string => (type === "TXT" || !isKnown(type) ? value : normaliseValue(type, value))

export const sameValues = (type: string, a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean => {
  const key = (values: ReadonlyArray<string>) => JSON.stringify([...new Set(values.map((value) => normalise(type, value)))].sort())
  return key(a) === key(b)
}

export const isInZone = (name: string, zone: string): boolean => name === zone || name.endsWith(`.${zone}`)

/** `shop.eu.acme.test` → itself, `eu.acme.test`, `acme.test`, `test`: where a zone for it may be, the most specific first. */
export const zoneCandidates = (hostname: string): ReadonlyArray<string> => {
  const labels = baseOf(hostname).split(".")
  return labels.map((_, at) => labels.slice(at).join("."))
}
