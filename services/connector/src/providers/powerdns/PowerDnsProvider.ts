/**
 * PowerDNS Authoritative 4.x through its HTTP API (doc.powerdns.com/authoritative/http-api, checked against 4.7.3).
 *
 * Owns: the four calls. Leaves paths, statuses and errors to `api.ts`, the text of contents to `content.ts`. One PATCH changes all sets or
 * none; it has no conditions, so the names are read just before and compared with what the plan expects.
 */
import { type Change, conflictWith } from "@connect-domain/dns-provider/ChangePlan.ts"
import type { Reach } from "@connect-domain/dns-provider/Descriptor.ts"
import { type DnsProvider, ZoneNotFound } from "@connect-domain/dns-provider/DnsProvider.ts"
import { isInZone, type RecordSet, sameValues, type Zone, zoneCandidates } from "@connect-domain/dns-provider/RecordSet.ts"
import { Effect } from "effect"
import { type ApiRecordSet, failure, makeApi } from "./api.ts"
import { fromContent, toContent } from "./content.ts"
import type { PowerDnsCredential } from "./descriptor.ts"

export const makePowerDns = (credential: PowerDnsCredential, reach: Reach): (typeof DnsProvider)["Service"] => {
  const api = makeApi(credential, reach)
  const findZone = (operation: "findZone" | "checkAccess", hostname: string) =>
    Effect.gen(function* () {
      for (const name of zoneCandidates(hostname)) {
        const zones = yield* api.zonesNamed(operation, name)
        if (zones[0] !== undefined) return { name, id: zones[0].id }
      }
      return yield* failure(operation, new ZoneNotFound({ hostname }))
    })
  const readRaw = (operation: "read" | "apply", zone: Zone, names: ReadonlyArray<string>) =>
    Effect.map(
      Effect.forEach(
        [...new Set(names)],
        (name) =>
          Effect.map(api.recordSets(operation, zone.id, name), (sets) => sets.filter((set) => set.name.toLowerCase() === `${name}.`)),
        { concurrency: 4 }
      ),
      (sets) => sets.flat()
    )
  const apply = Effect.fnUntraced(function* (zone: Zone, changes: ReadonlyArray<Change>) {
    const outside = changes.find((change) => !isInZone(change.name, zone.name))
    if (outside !== undefined) return yield* failure("apply", new ZoneNotFound({ hostname: outside.name }))
    const raw = yield* readRaw(
      "apply",
      zone,
      changes.map((change) => change.name)
    )
    const now = raw.map(toRecordSet)
    const conflict = changes.map((change) => conflictWith(change, now)).find((found) => found !== undefined)
    if (conflict !== undefined) return yield* failure("apply", conflict)
    const open = changes.filter(
      (change) =>
        !sameValues(change.type, now.find((set) => set.name === change.name && set.type === change.type)?.values ?? [], change.values)
    )
    if (open.length > 0) yield* api.patch(zone.id, patchOf(open))
  })
  return {
    findZone: (hostname) => findZone("findZone", hostname),
    read: (zone, names) => Effect.map(readRaw("read", zone, names), (sets) => sets.map(toRecordSet).filter((set) => set.values.length > 0)),
    apply,
    checkAccess: (hostname) => Effect.asVoid(findZone("checkAccess", hostname))
  }
}

const toRecordSet = (set: ApiRecordSet): RecordSet => ({
  name: set.name.toLowerCase().replace(/\.$/, ""),
  type: set.type,
  ttl: set.ttl,
  values: set.records.filter((record) => record.disabled !== true).map((record) => fromContent(set.type, record.content))
})

/** Removals first: the server checks each set against those before it. */
const patchOf = (changes: ReadonlyArray<Change>): ReadonlyArray<object> =>
  [...changes]
    .sort((a, b) => Math.min(a.values.length, 1) - Math.min(b.values.length, 1))
    .map((change) => {
      const at = { name: `${change.name}.`, type: change.type }
      const records = change.values.map((value) => ({ content: toContent(change.type, value), disabled: false }))
      return records.length === 0
        ? { ...at, changetype: "DELETE" }
        : { ...at, changetype: "REPLACE", ttl: Math.max(change.ttl, 1), records }
    })
