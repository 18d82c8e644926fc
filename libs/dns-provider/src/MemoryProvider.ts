/**
 * The interface's reference: zones in memory, real rules, and failures on request.
 *
 * Owns nothing outside itself. Used by tests of what stands above providers; passes `DnsProviderSuite` like any other.
 */
import { Effect } from "effect"
import { type Change, conflictWith } from "./ChangePlan.ts"
import { DnsProvider, DnsProviderError, type Operation, type Reason, ZoneNotFound } from "./DnsProvider.ts"
import { isInZone, type RecordSet, zoneCandidates } from "./RecordSet.ts"

export type MemoryZones = Map<string, Array<RecordSet>>

export const makeMemoryProvider = (zones: MemoryZones) => {
  const failures: Array<{ readonly operation: Operation; readonly reason: Reason }> = []
  const calls: Array<{ readonly operation: Operation; readonly names: ReadonlyArray<string> }> = []
  const failed = (operation: Operation, reason: Reason) =>
    Effect.fail(new DnsProviderError({ provider: "memory", operation, zone: "unchanged", reason }))
  const attempt = <A>(operation: Operation, names: ReadonlyArray<string>, work: () => Effect.Effect<A, DnsProviderError>) =>
    Effect.suspend(() => {
      calls.push({ operation, names })
      const at = failures.findIndex((failure) => failure.operation === operation)
      return at < 0 ? work() : failed(operation, failures.splice(at, 1)[0]!.reason)
    })
  const locate = (operation: Operation, hostname: string) => {
    const name = zoneCandidates(hostname).find((candidate) => zones.has(candidate))
    return name === undefined ? failed(operation, new ZoneNotFound({ hostname })) : Effect.succeed({ name, id: name })
  }
  const provider = DnsProvider.of({
    findZone: (hostname) => attempt("findZone", [hostname], () => locate("findZone", hostname)),
    read: (zone, names) =>
      attempt("read", names, () => Effect.sync(() => (zones.get(zone.name) ?? []).filter((set) => names.includes(set.name)))),
    apply: (zone, changes) =>
      attempt(
        "apply",
        changes.map((change) => change.name),
        () => {
          const sets = zones.get(zone.name) ?? []
          const outside = changes.find((change) => !isInZone(change.name, zone.name))
          if (outside !== undefined) return failed("apply", new ZoneNotFound({ hostname: outside.name }))
          const conflict = changes.map((change) => conflictWith(change, sets)).find((found) => found !== undefined)
          if (conflict !== undefined) return failed("apply", conflict)
          zones.set(zone.name, changes.reduce(applied, sets))
          return Effect.void
        }
      ),
    checkAccess: (hostname) => attempt("checkAccess", [hostname], () => Effect.asVoid(locate("checkAccess", hostname)))
  })
  /** `failNext`: the next call of that operation fails so. `calls`: what was asked, in order. */
  return { provider, calls, failNext: (operation: Operation, reason: Reason) => void failures.push({ operation, reason }) }
}

const applied = (sets: Array<RecordSet>, change: Change): Array<RecordSet> => {
  const others = sets.filter((set) => set.name !== change.name || set.type !== change.type)
  return change.values.length === 0 ? others : [...others, { name: change.name, type: change.type, ttl: change.ttl, values: change.values }]
}
