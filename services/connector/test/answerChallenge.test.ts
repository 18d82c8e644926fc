/** Answers to DNS challenges over zones in memory: which names are touched, whose labels are followed, how long is waited. */
import { NoAuthority } from "@connect-domain/dns/Authorities.ts"
import { type Answered, Resolver } from "@connect-domain/dns/Resolver.ts"
import { AccessDenied } from "@connect-domain/dns-provider/DnsProvider.ts"
import { type MemoryZones, makeMemoryProvider } from "@connect-domain/dns-provider/MemoryProvider.ts"
import type { RecordSet } from "@connect-domain/dns-provider/RecordSet.ts"
import { acmeChallengeName, delegationLabel, delegationTarget } from "@connect-domain/domain/acmeNames.ts"
import type { CallError } from "@connect-domain/nats/Calls.ts"
import { Lease } from "@connect-domain/nats/Lease.ts"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, References } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { expect, test } from "vitest"
import { present, remove } from "../src/answerChallenge.ts"
import { Credentials } from "../src/Credentials.ts"
import { ZoneWriter } from "../src/ZoneWriter.ts"

const ownZone = "acme.vendor.test"
const credential = { credential_id: "k", tenant_id: "t1", provider: "memory", sealed: "" }
const ask = (hostname: string, value = "v1", given: object = {}) => ({
  tenant_id: "t1",
  hostname,
  value,
  credentials: [credential],
  ...given
})

/** `lag`: how many looks the second server of every zone is behind; a negative one never shows anything. */
const makeWorld = (sets: ReadonlyArray<RecordSet> = [], lag = 0) => {
  const zones: MemoryZones = new Map([
    ["acme.test", [...sets]],
    [ownZone, []]
  ])
  const memory = makeMemoryProvider(zones)
  const looks = new Map<string, number>()
  const hidden = new Set<string>()
  const seen = (name: string): Answered => {
    const at = [...zones.values()].flat().filter((set) => set.name === name && !hidden.has(name))
    const alias = at.find((set) => set.type === "CNAME")?.values[0] ?? null
    return { kind: "answered", exists: at.length > 0, alias, values: at.find((set) => set.type === "TXT")?.values ?? [], ttl: 60 }
  }
  const resolver = Layer.succeed(
    Resolver,
    Resolver.of({
      ask: (name) =>
        Effect.gen(function* () {
          if (name.endsWith(".gone")) return yield* new NoAuthority({ zone: "gone", detail: "nobody" })
          const late = (looks.get(name) ?? 0) - 1
          looks.set(name, late + 2)
          const behind = lag < 0 ? late >= 0 : late >= 0 && late < lag
          return [
            { server: "ns1", address: null, outcome: seen(name) },
            { server: "ns2", address: null, outcome: behind ? { ...seen(name), values: [] } : seen(name) }
          ]
        }),
      follow: () => Effect.succeed([]),
      validate: () => Effect.succeed(null),
      zone: () => Effect.succeed({ zone: "", nameServers: [] })
    })
  )
  const unleased = Layer.succeed(Lease, Lease.of({ withLease: (_name, _options, effect) => effect, selfTest: Effect.void }))
  const opened = Layer.succeed(
    Credentials,
    Credentials.of({ open: () => Effect.succeed({ descriptor: {} as never, provider: memory.provider }) })
  )
  const own = { zone: ownZone, through: { key: "memory", provider: memory.provider } }
  const layer = Layer.provideMerge(
    ZoneWriter.layer,
    Layer.mergeAll(unleased, opened, resolver, Layer.succeed(References.MinimumLogLevel, "None"))
  )
  const run = <A>(effect: Effect.Effect<A, CallError, ZoneWriter | Resolver>) => Effect.runPromiseExit(Effect.provide(effect, layer))
  return { zones, memory, own, layer, run, looks, hidden }
}
const values = (zones: MemoryZones, name: string) =>
  [...zones.values()].flat().find((set) => set.name === name && set.type === "TXT")?.values ?? []
const refusalOf = (exit: Exit.Exit<unknown, CallError>) =>
  Exit.isFailure(exit) ? exit.cause.reasons.flatMap((r) => (r._tag === "Fail" ? [r.error] : []))[0] : undefined

const label = fc.constantFrom("shop", "www", "a.b", "_acme-challenge.shop", "*")
const standing = fc.record({
  name: label.map((text) => `${text}.acme.test`),
  type: fc.constantFrom("A", "TXT", "MX", "CNAME"),
  ttl: fc.constant(900),
  values: fc.constantFrom(["192.0.2.1"], ["x", "y"], ["other.test"])
})

test("D12: touched names ⊆ planned names, and what stood there stands there after", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(standing, { selector: (set) => `${set.name} ${set.type}`, maxLength: 6 }),
      fc.constantFrom("shop.acme.test", "*.acme.test", "a.b.acme.test"),
      fc.boolean(),
      async (sets, hostname, delegated) => {
        const name = acmeChallengeName(hostname)
        const target = delegationTarget("t1", hostname, ownZone)
        const alias = delegated && !sets.some((set) => set.name === name) ? [{ name, type: "CNAME", ttl: 60, values: [target] }] : []
        const { zones, memory, own, run } = makeWorld([...sets, ...alias])
        const before = structuredClone([...zones])
        const planned = alias.length > 0 ? target : name
        const done = await run(present(ask(hostname), own))
        for (const { operation, names } of memory.calls) if (operation === "apply") expect(names).toEqual([planned])
        if (Exit.isSuccess(done)) expect(values(zones, planned)).toContain("v1")
        expect(Exit.isSuccess(await run(remove(ask(hostname), own)))).toBe(true)
        for (const { operation, names } of memory.calls) if (operation === "apply") expect(names).toEqual([planned])
        const sorted = (all: typeof before) => all.map(([zone, rest]) => [zone, rest.map((set) => JSON.stringify(set)).sort()])
        expect(sorted([...zones])).toEqual(sorted(before))
      }
    ),
    { numRuns: 200 }
  )
})

test("D8: a CNAME to another tenant's label, or to another name's, is never followed", async () => {
  const name = acmeChallengeName("shop.acme.test")
  const foreign = [
    delegationTarget("t2", "shop.acme.test", ownZone),
    delegationTarget("t1", "other.acme.test", ownZone),
    `x.${ownZone}`,
    ownZone
  ]
  for (const target of foreign) {
    const { zones, own, run, memory } = makeWorld([{ name, type: "CNAME", ttl: 60, values: [target] }])
    const refused = refusalOf(await run(present(ask("shop.acme.test"), own)))
    expect(refused).toMatchObject({ code: "invalid", message: expect.stringContaining(delegationTarget("t1", "shop.acme.test", ownZone)) })
    expect(memory.calls.filter(({ operation }) => operation === "apply")).toEqual([])
    expect(zones.get(ownZone)).toEqual([])
  }
  expect(delegationLabel("t1", "*.acme.test")).toBe(delegationLabel("t1", "acme.test"))
  expect(delegationLabel("t1", "acme.test")).toMatch(/^[a-z2-7]{26}$/)
})

test("removed twice: what stands nowhere is gone, also where the application's credential is for another zone", async () => {
  const name = acmeChallengeName("shop.elsewhere.test")
  const target = delegationTarget("t1", "shop.elsewhere.test", ownZone)
  const { zones, memory, own, run } = makeWorld([{ name, type: "CNAME", ttl: 60, values: [target] }])
  expect(await run(present(ask("shop.elsewhere.test"), own))).toMatchObject({ value: { where: "delegated", name: target } })
  for (const removed of [true, false]) expect(await run(remove(ask("shop.elsewhere.test"), own))).toMatchObject({ value: { removed } })
  expect(values(zones, target)).toEqual([])
  memory.failNext("read", new AccessDenied({ remedy: "no right" }))
  expect(refusalOf(await run(remove(ask("shop.acme.test"), own)))).toMatchObject({ code: "invalid", details: { code: "access_denied" } })
})

it.effect("an alias of ours that is put there meanwhile is followed once every server shows it", () =>
  Effect.gen(function* () {
    const name = acmeChallengeName("shop.acme.test")
    const target = delegationTarget("t1", "shop.acme.test", ownZone)
    const world = makeWorld()
    // In the zone already, and not yet at its servers.
    const hidden: RecordSet = { name, type: "CNAME", ttl: 60, values: [target] }
    const zone = world.zones.get("acme.test")!
    world.hidden.add(name)
    zone.push(hidden)
    const writing = yield* Effect.forkChild(Effect.provide(present(ask("shop.acme.test"), world.own), world.layer))
    yield* TestClock.adjust("2 seconds")
    assert.isUndefined(writing.pollUnsafe())
    world.hidden.delete(name)
    yield* TestClock.adjust("2 seconds")
    assert.deepInclude(yield* Fiber.join(writing), { where: "delegated", name: target })
  })
)

test("who must act: nobody's zone, a refused credential, somebody's alias, servers that are away", async () => {
  const alias = makeWorld([{ name: acmeChallengeName("shop.acme.test"), type: "CNAME", ttl: 60, values: ["dns.customer.gone"] }])
  const code = async (world: ReturnType<typeof makeWorld>, hostname: string, given: object = {}) => {
    const refused = refusalOf(await world.run(present(ask(hostname, "v1", given), world.own)))
    return [refused?.code, (refused?.details as { code?: string } | undefined)?.code]
  }
  expect(await code(alias, "shop.acme.test")).toEqual(["invalid", "conflict"])
  const plain = makeWorld()
  expect(await code(plain, "shop.acme.test", { credentials: [] })).toEqual(["invalid", "unsupported"])
  expect(await code(plain, "shop.elsewhere.test")).toEqual(["invalid", "zone_not_found"])
  expect(await code(plain, "shop.acme.gone")).toEqual(["unavailable", undefined])
  plain.memory.failNext("apply", new AccessDenied({ remedy: "no right" }))
  expect(await code(plain, "shop.acme.test")).toEqual(["invalid", "access_denied"])
})

it.effect("answers when the last server shows it, and `not_yet` after 20 s when one never does", () =>
  Effect.gen(function* () {
    const late = makeWorld([], 4)
    const waiting = yield* Effect.forkChild(Effect.provide(present(ask("shop.acme.test"), late.own), late.layer))
    yield* TestClock.adjust("300 millis")
    assert.isUndefined(waiting.pollUnsafe())
    yield* TestClock.adjust("2 seconds")
    assert.deepInclude(yield* Fiber.join(waiting), { where: "credential", name: "_acme-challenge.shop.acme.test" })
    const never = makeWorld([], -1)
    const vain = yield* Effect.forkChild(Effect.flip(Effect.provide(present(ask("shop.acme.test"), never.own), never.layer)))
    yield* TestClock.adjust("19 seconds")
    assert.isUndefined(vain.pollUnsafe())
    yield* TestClock.adjust("1 seconds")
    assert.strictEqual((yield* Fiber.join(vain)).code, "not_yet")
    assert.deepStrictEqual(values(never.zones, "_acme-challenge.shop.acme.test"), ["v1"])
  })
)
