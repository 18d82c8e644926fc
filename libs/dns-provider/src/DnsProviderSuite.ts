/**
 * What every provider must pass, whatever its API is like. Applying it is ten lines: say how to get a provider for an empty zone.
 *
 * Owns: the rules written at `DnsProvider`. Leaves to each provider's own tests what is special about its wire.
 */
import { Effect } from "effect"
import { expect, test } from "vitest"
import { planChanges, planRemoval, remove, replace } from "./ChangePlan.ts"
import type { DnsProvider, DnsProviderError } from "./DnsProvider.ts"
import type { RecordSet, Zone } from "./RecordSet.ts"

export type SuiteSubject = {
  /** A credential that works. */
  readonly provider: (typeof DnsProvider)["Service"]
  /** The same server or account with a credential that does not. Undefined: this provider has none. */
  readonly stranger?: (typeof DnsProvider)["Service"]
  /** A zone of the account that holds nothing but what a new zone holds. */
  readonly zone: string
}

const run = <A>(effect: Effect.Effect<A, DnsProviderError>) => Effect.runPromise(effect)
const reasonOf = async <A>(effect: Effect.Effect<A, DnsProviderError>) => (await Effect.runPromise(Effect.flip(effect))).reason
const ordered = (sets: ReadonlyArray<RecordSet>) =>
  sets.map((set) => ({ ...set, values: [...set.values].sort() })).sort((a, b) => (`${a.name} ${a.type}` < `${b.name} ${b.type}` ? -1 : 1))

/** `subject` is called once for each test with a fresh zone. */
export const dnsProviderSuite = (subject: () => Promise<SuiteSubject>) => {
  const opened = async () => {
    const made = await subject()
    const zone = await run(made.provider.findZone(`www.${made.zone}`))
    const at = (label: string) => `${label}.${made.zone}`
    const read = async (...names: ReadonlyArray<string>) => ordered(await run(made.provider.read(zone, names)))
    const apply = (...changes: Parameters<typeof made.provider.apply>[1]) => made.provider.apply(zone, changes)
    return { ...made, zoneName: made.zone, zone, at, read, apply }
  }

  test("findZone gives the zone that holds a name, at any depth, and the apex itself", async () => {
    const { provider, zoneName, at } = await opened()
    for (const name of [zoneName, at("www"), at("a.b.c"), `*.${zoneName}`]) expect((await run(provider.findZone(name))).name).toBe(zoneName)
  })

  test("findZone of a name that the account does not hold is ZoneNotFound", async () => {
    const { provider } = await opened()
    expect(await reasonOf(provider.findZone("www.not-in-this-account.test"))).toMatchObject({ _tag: "ZoneNotFound" })
  })

  test("reading names where nothing stands gives nothing", async () => {
    const { read, at } = await opened()
    expect(await read(at("nothing"), at("nothing.below"))).toEqual([])
  })

  test("every type that we write is read back as it was written", async () => {
    const { apply, read, at } = await opened()
    const sets: ReadonlyArray<RecordSet> = ordered([
      { name: at("v4"), type: "A", ttl: 300, values: ["192.0.2.1", "192.0.2.2"] },
      { name: at("v6"), type: "AAAA", ttl: 600, values: ["2001:db8::1"] },
      { name: at("alias"), type: "CNAME", ttl: 300, values: ["edge.vendor.example"] },
      {
        name: at("text"),
        type: "TXT",
        ttl: 300,
        values: ["plain", 'with "quotes" and \\ backslash', "semi;colon and  spaces", "k".repeat(300)]
      },
      { name: at("mail"), type: "MX", ttl: 300, values: ["10 mx1.vendor.example", "20 mx2.vendor.example"] },
      { name: at("caa"), type: "CAA", ttl: 300, values: ['0 issue "ca.example"', '0 issuewild ";"'] },
      { name: at("*.wild"), type: "A", ttl: 300, values: ["192.0.2.3"] },
      { name: at("_underscore._txt"), type: "TXT", ttl: 300, values: ["value"] }
    ])
    await run(apply(...sets.map((set) => replace(set.name, set.type, set.values, { expect: [], ttl: set.ttl }))))
    expect(await read(...sets.map((set) => set.name))).toEqual(sets)
  })

  test("apply twice is apply once", async () => {
    const { apply, read, at } = await opened()
    const plan = [replace(at("www"), "A", ["192.0.2.1"], { expect: [] }), replace(at("www"), "TXT", ["x"], { expect: [] })]
    await run(apply(...plan))
    const once = await read(at("www"))
    await run(apply(...plan))
    expect(await read(at("www"))).toEqual(once)
  })

  test("names that are not in the plan stay as they are, also a set of another type at the same name", async () => {
    const { apply, read, at } = await opened()
    await run(apply(replace(at("mail"), "A", ["192.0.2.7"], { expect: [] }), replace(at("www"), "TXT", ["keep"], { expect: [] })))
    const before = await read(at("mail"), at("www"))
    await run(apply(replace(at("www"), "A", ["192.0.2.1"], { expect: [] })))
    await run(apply(remove(at("www"), "A", ["192.0.2.1"])))
    expect(await read(at("mail"), at("www"))).toEqual(before)
  })

  test("a change whose expected values are gone is a Conflict and changes nothing", async () => {
    const { apply, read, at } = await opened()
    await run(apply(replace(at("www"), "A", ["192.0.2.99"], { expect: [] }), replace(at("other"), "A", ["192.0.2.5"], { expect: [] })))
    const before = await read(at("www"), at("other"))
    expect(
      await reasonOf(
        apply(
          replace(at("other"), "A", ["192.0.2.6"], { expect: ["192.0.2.5"] }),
          replace(at("www"), "A", ["192.0.2.1"], { expect: ["192.0.2.50"] })
        )
      )
    ).toMatchObject({ _tag: "Conflict" })
    expect(await reasonOf(apply(replace(at("www"), "A", ["192.0.2.1"], { expect: [] })))).toMatchObject({ _tag: "Conflict" })
    expect(await reasonOf(apply(remove(at("www"), "A", ["192.0.2.50"])))).toMatchObject({ _tag: "Conflict" })
    expect(await read(at("www"), at("other"))).toEqual(before)
  })

  test("an address is replaced by an alias and back again", async () => {
    const { apply, read, at } = await opened()
    await run(apply(replace(at("www"), "A", ["192.0.2.1"], { expect: [] })))
    await run(apply(remove(at("www"), "A", ["192.0.2.1"]), replace(at("www"), "CNAME", ["edge.vendor.example"], { expect: [] })))
    expect(await read(at("www"))).toEqual([{ name: at("www"), type: "CNAME", ttl: 300, values: ["edge.vendor.example"] }])
    await run(apply(remove(at("www"), "CNAME", ["edge.vendor.example"]), replace(at("www"), "A", ["192.0.2.1"], { expect: [] })))
    expect(await read(at("www"))).toEqual([{ name: at("www"), type: "A", ttl: 300, values: ["192.0.2.1"] }])
  })

  test("removing what is not there is no error", async () => {
    const { apply, read, at } = await opened()
    await run(apply(remove(at("www"), "A", [])))
    await run(apply(remove(at("www"), "A", ["192.0.2.1"])))
    expect(await read(at("www"))).toEqual([])
  })

  test("a planned challenge is added beside foreign TXT values, and taken away alone", async () => {
    const { provider, zone, read, at } = await opened()
    const record = { host: at("_customdomain-challenge.www"), type: "TXT", value: "cd-verify-abc", ttl: 300 } as const
    await run(provider.apply(zone, [replace(record.host, "TXT", ["foreign"], { expect: [], ttl: 900 })]))
    await run(provider.apply(zone, await planned(provider, zone, record)))
    expect(await read(record.host)).toEqual([{ name: record.host, type: "TXT", ttl: 900, values: ["cd-verify-abc", "foreign"] }])
    expect(await planned(provider, zone, record)).toEqual([])
    await run(provider.apply(zone, planRemoval(await run(provider.read(zone, [record.host])), [record])))
    expect(await read(record.host)).toEqual([{ name: record.host, type: "TXT", ttl: 900, values: ["foreign"] }])
  })

  test("a name outside the zone is refused", async () => {
    const { apply } = await opened()
    expect(await reasonOf(apply(replace("www.not-in-this-zone.test", "A", ["192.0.2.1"], { expect: [] })))).toMatchObject({
      _tag: "ZoneNotFound"
    })
  })

  test("access is proven for the zone's names only, and refused to a stranger with a sentence", async () => {
    const { provider, stranger, zone, at, read } = await opened()
    await run(provider.checkAccess(at("www")))
    expect(await reasonOf(provider.checkAccess("www.not-in-this-account.test"))).toMatchObject({ _tag: "ZoneNotFound" })
    expect(await read(at("www"))).toEqual([])
    if (stranger === undefined) return
    expect(await reasonOf(stranger.checkAccess(at("www")))).toMatchObject({
      _tag: "AccessDenied",
      remedy: expect.stringMatching(/\w+ \w+/)
    })
    expect(await reasonOf(stranger.apply(zone, [replace(at("www"), "A", ["192.0.2.1"], { expect: [] })]))).toMatchObject({
      _tag: "AccessDenied"
    })
  })
}

const planned = async (provider: SuiteSubject["provider"], zone: Zone, record: Parameters<typeof planChanges>[1][number]) => {
  const plan = planChanges(await run(provider.read(zone, [record.host])), [record], { replaceForeign: false })
  if (plan._tag === "Failure") throw plan.failure
  return plan.success
}
