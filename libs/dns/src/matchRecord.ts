/**
 * Does a record stand in the DNS as it is wanted? "Resolves to something" is never enough.
 *
 * Pure. Owns the comparison for each type:
 * - A, AAAA: the wanted address is there, and at that name no address of either family that is not ours.
 * - CNAME: the target is equal (case and trailing dot aside). Where a CNAME can't stand (a zone's apex) or for ALIAS, the set of addresses
 *   equals the target's.
 * - TXT, MX, CAA, NS, SRV: the wanted value is among those there.
 * Leaves asking to `lookRecords`. Built against a foreign AAAA beside our A, which sends half of the visitors elsewhere.
 */
import { type DnsRecord, normaliseValue } from "@connect-domain/domain/DnsRecord.ts"
import type { Answered, ServerReply } from "./Resolver.ts"
import { judge, type ServerVerdict, type Verdict } from "./verdict.ts"

const verdict = (matches: boolean): Verdict => (matches ? "match" : "mismatch")
const sorted = (values: Iterable<string>): ReadonlyArray<string> => [...new Set(values)].sort()

/** `replies`: A and AAAA of the name together, aliases followed. `ours`: every address wanted at this name. */
export const matchAddress = (
  wanted: DnsRecord,
  ours: ReadonlySet<string>,
  replies: ReadonlyArray<ServerReply>
): ReadonlyArray<ServerVerdict> => {
  const value = normaliseValue(wanted.type, wanted.value)
  return judge(replies, ({ values }) => ({
    values: sorted(values),
    verdict: verdict(values.includes(value) && values.every((seen) => seen === value || ours.has(seen)))
  }))
}

/** The target's addresses, for names that show addresses in the place of an alias. `unknown` when its servers can't be asked. */
export type TargetAddresses =
  | { readonly kind: "known"; readonly addresses: ReadonlyArray<string> }
  | { readonly kind: "unknown"; readonly error: string }
  | { readonly kind: "notAccepted" }

/** `replies`: A (and, where flattening is accepted, AAAA) of the name, aliases not followed. */
export const matchAlias = (
  wanted: DnsRecord,
  replies: ReadonlyArray<ServerReply>,
  target: TargetAddresses
): ReadonlyArray<ServerVerdict> => {
  const value = normaliseValue("CNAME", wanted.value)
  return judge(replies, (answered) => {
    if (answered.alias !== null) return { values: [answered.alias], verdict: verdict(answered.alias === value) }
    return flattened(answered, target)
  })
}

const flattened = (
  answered: Answered,
  target: TargetAddresses
): { readonly values: ReadonlyArray<string>; readonly verdict: Verdict; readonly error?: string } => {
  const values = sorted(answered.values)
  if (values.length === 0 || target.kind === "notAccepted") return { values, verdict: "mismatch" }
  if (target.kind === "unknown") return { values, verdict: "unknown", error: `the target's addresses are not known: ${target.error}` }
  return { values, verdict: verdict(values.join() === sorted(target.addresses).join()) }
}

/** TXT, MX, CAA, NS, SRV. `replies`: that type at the name, aliases followed. */
export const matchValue = (wanted: DnsRecord, replies: ReadonlyArray<ServerReply>): ReadonlyArray<ServerVerdict> => {
  const value = wireValue(wanted)
  const same =
    wanted.type === "MX" && wanted.priority === undefined && !/^\d+\s/.test(wanted.value)
      ? (seen: string) => seen.replace(/^\d+ /, "") === value
      : (seen: string) => seen === value
  return judge(replies, ({ values }) => ({ values: sorted(values), verdict: verdict(values.some(same)) }))
}

/** A wanted record's value as a server shows it: an MX with its priority in front. */
export const wireValue = (record: DnsRecord): string =>
  normaliseValue(record.type, record.type === "MX" && record.priority !== undefined ? `${record.priority} ${record.value}` : record.value)
