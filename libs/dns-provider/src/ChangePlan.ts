/**
 * Which record sets must change so that wanted records stand in a zone, and whether that is safe (requirement D12).
 *
 * Pure. Owns the rules:
 * - Only names of wanted records are touched, and only types that stand in their way.
 * - TXT, MX, CAA, SRV values are added beside what is there; what isn't ours stays.
 * - A, AAAA and CNAME sets must be ours alone to work. Foreign addresses or aliases are replaced with consent, refused without.
 * - Any other type beside a wanted CNAME is never removed, consent or not: it is somebody's mail or proof.
 * - Each change carries what it expects to find; a provider refuses it when that is no longer so.
 * Leaves reading and writing to `DnsProvider`. Built against: a plan made from an old reading that destroys what came since.
 */
import type { DnsRecord } from "@connect-domain/domain/DnsRecord.ts"
import { Result } from "effect"
import { Conflict } from "./DnsProvider.ts"
import { normalise, type RecordSet, sameValues } from "./RecordSet.ts"

/** The set shall hold `values` (none: it shall not exist) in the place of `expect` (none: it did not exist). */
export type Change = {
  readonly name: string
  readonly type: string
  readonly ttl: number
  readonly values: ReadonlyArray<string>
  readonly expect: ReadonlyArray<string>
}

export const replace = (
  name: string,
  type: string,
  values: ReadonlyArray<string>,
  options: { readonly expect: ReadonlyArray<string>; readonly ttl?: number }
): Change => ({
  name,
  type,
  ttl: options.ttl ?? 300,
  values,
  expect: options.expect
})
export const remove = (name: string, type: string, expect: ReadonlyArray<string>): Change => ({ name, type, ttl: 0, values: [], expect })

/** Types that say where a name leads: they replace one another. ALIAS and its kin count as the provider names them. */
const leading: ReadonlySet<string> = new Set(["A", "AAAA", "CNAME", "ALIAS", "ANAME"])

export type PlanOptions = {
  /** May foreign addresses and aliases at the planned names be replaced? The person who asked has been shown the plan. */
  readonly replaceForeign: boolean
}

/** `current`: everything that stands at the wanted records' names. An empty plan: it is so already. */
export const planChanges = (
  current: ReadonlyArray<RecordSet>,
  wanted: ReadonlyArray<DnsRecord>,
  options: PlanOptions
): Result.Result<ReadonlyArray<Change>, Conflict> => {
  const changes: Array<Change> = []
  for (const name of new Set(wanted.map((record) => record.host))) {
    const here = current.filter((set) => set.name === name)
    const there = wanted.filter((record) => record.host === name)
    const planned = planName(name, here, there, options)
    if (Result.isFailure(planned)) return planned
    changes.push(...planned.success)
  }
  return Result.succeed(changes)
}

const planName = (
  name: string,
  here: ReadonlyArray<RecordSet>,
  wanted: ReadonlyArray<DnsRecord>,
  options: PlanOptions
): Result.Result<ReadonlyArray<Change>, Conflict> => {
  const refused = standsInTheWay(here, wanted, options)
  if (refused.length > 0) return Result.fail(new Conflict({ name, found: refused }))
  const types = new Set<string>(wanted.map((record) => record.type))
  const leads = [...types].some((type) => leading.has(type))
  const gone = leads
    ? here.filter((set) => leading.has(set.type) && !types.has(set.type)).map((set) => remove(name, set.type, set.values))
    : []
  const puts = [...types].flatMap((type) =>
    putSet(
      name,
      type,
      here.find((set) => set.type === type),
      wanted
    )
  )
  return Result.succeed([...gone, ...puts])
}

/** One set with all its values; nothing when it holds them already. The TTL of a set that others share stays as it is. */
const putSet = (name: string, type: string, before: RecordSet | undefined, wanted: ReadonlyArray<DnsRecord>): ReadonlyArray<Change> => {
  const records = wanted.filter((record) => record.type === type)
  const ours = unique(type, records.map(setValue))
  const kept = leading.has(type) ? [] : (before?.values ?? [])
  const values = unique(type, [...kept, ...ours])
  if (before !== undefined && sameValues(type, before.values, values)) return []
  return [
    {
      name,
      type,
      ttl: kept.length > 0 ? before!.ttl : Math.min(...records.map((record) => record.ttl)),
      values,
      expect: before?.values ?? []
    }
  ]
}

/** What a plan must not overwrite, as `TYPE value`. */
const standsInTheWay = (here: ReadonlyArray<RecordSet>, wanted: ReadonlyArray<DnsRecord>, options: PlanOptions): ReadonlyArray<string> => {
  const alias = wanted.some((record) => record.type === "CNAME")
  const leads = wanted.some((record) => leading.has(record.type))
  const shown = (set: RecordSet) => set.values.map((value) => `${set.type} ${value}`)
  return here.flatMap((set) => {
    if (leading.has(set.type)) {
      // A TXT can't be put beside somebody's CNAME (RFC 1034 §3.6.2), and replacing the CNAME was not asked for.
      if (!leads) return set.type === "CNAME" ? shown(set) : []
      return options.replaceForeign ? [] : foreign(set, wanted)
    }
    return alias ? shown(set) : []
  })
}

const foreign = (set: RecordSet, wanted: ReadonlyArray<DnsRecord>): ReadonlyArray<string> => {
  const ours = new Set(wanted.filter((record) => record.type === set.type).map((record) => normalise(set.type, setValue(record))))
  return set.values.filter((value) => !ours.has(normalise(set.type, value))).map((value) => `${set.type} ${value}`)
}

/** Takes exactly these records out again; what stands beside them stays, what is gone already is no error. */
export const planRemoval = (current: ReadonlyArray<RecordSet>, records: ReadonlyArray<DnsRecord>): ReadonlyArray<Change> =>
  current.flatMap((set) => {
    const ours = new Set(
      records
        .filter((record) => record.host === set.name && record.type === set.type)
        .map((record) => normalise(set.type, setValue(record)))
    )
    const values = set.values.filter((value) => !ours.has(normalise(set.type, value)))
    return values.length === set.values.length ? [] : [{ name: set.name, type: set.type, ttl: set.ttl, values, expect: set.values }]
  })

/** A record's value as a set holds it: an MX with its priority in front. */
export const setValue = (record: DnsRecord): string =>
  record.type === "MX" && record.priority !== undefined ? `${record.priority} ${record.value}` : record.value

const unique = (type: string, values: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Map(values.map((value) => [normalise(type, value), value])).values()
]

/** The plan that would bring the zone back to what a plan found; kept with what was written. */
export const undo = (changes: ReadonlyArray<Change>): ReadonlyArray<Change> =>
  [...changes]
    .reverse()
    .map((change) => ({ ...change, values: change.expect, expect: change.values, ttl: change.ttl === 0 ? 300 : change.ttl }))

/** What stands against a change, given what is there now; undefined when it may be applied or has been already. For providers without conditions of their own. */
export const conflictWith = (change: Change, now: ReadonlyArray<RecordSet>): Conflict | undefined => {
  const set = now.find((other) => other.name === change.name && other.type === change.type)
  const values = set?.values ?? []
  if (sameValues(change.type, values, change.values) || sameValues(change.type, values, change.expect)) return undefined
  return new Conflict({ name: change.name, found: values.map((value) => `${change.type} ${value}`) })
}
